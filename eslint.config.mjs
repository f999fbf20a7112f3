import tseslint from 'typescript-eslint';

const noSleep = [
  { selector: "CallExpression[callee.name='sleep']", message: 'Wait for a condition, never for a time.' },
  {
    selector:
      "NewExpression[callee.name='Promise'] CallExpression[callee.name='setTimeout'][arguments.length=2][arguments.0.name]",
    message: 'Wait for a condition, never for a time.',
  },
];

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'node_modules/**',
      '**/*_pb.ts',
      'coverage/**',
      '**/*.cjs',
      '**/*.mjs',
      'examples/**/*.js',
      '**/page/assets/**',
      'test/replay/histories/**',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      eqeqeq: 'error',
      // Some drivers declare their options as classes; a plain object is what they take.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // Closures, not classes: what our interfaces offer never uses `this`, so it may be taken out of its object.
      '@typescript-eslint/unbound-method': 'off',
      // `(): void => void list.push(one)` says that the result is not wanted.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreVoidOperator: true, ignoreArrowShorthand: true },
      ],
    },
  },
  {
    files: ['workflows/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'fetch',
        'Buffer',
        'structuredClone',
        'performance',
        'crypto',
        'Intl',
        'setInterval',
        'WeakRef',
        'FinalizationRegistry',
      ],
    },
  },
  { files: ['test/**'], rules: { 'no-restricted-syntax': ['error', ...noSleep] } },
);
