import { z } from 'zod';
import { capability } from './work';

/** Answers with its input: for trying out plans, and for tests of everything around an agent. */
export const echoCapability = capability({
  name: 'echo',
  description: 'Answers with its input',
  input: z.json(),
  output: z.json(),
  needsFolder: false,
  run: (input) => Promise.resolve(input),
});
