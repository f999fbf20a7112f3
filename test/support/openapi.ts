import Ajv2020 from 'ajv/dist/2020';

interface Document {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, unknown>> }>>>
  >;
}

/** Problems of an answer against an OpenAPI document: none when it is as described. */
export function createConformance(document: object) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ ...document, $id: 'openapi' });
  const { paths } = document as Document;
  const escape = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
  return {
    problemsOf(answer: {
      readonly method: string;
      readonly path: string;
      readonly status: number;
      readonly type: string;
      readonly json: unknown;
    }): readonly string[] {
      const [path = ''] = answer.path.split('?');
      const template = Object.keys(paths).find((one) => new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(path));
      const method = answer.method.toLowerCase();
      const responses = template === undefined ? undefined : paths[template]?.[method]?.responses;
      if (template === undefined || !responses) return [`${method} ${path} is not described`];
      const response = String(answer.status) in responses ? String(answer.status) : 'default';
      const [type = ''] = answer.type.split(';');
      const place = ['paths', template, method, 'responses', response, 'content', type, 'schema'];
      const validate = ajv.getSchema(`openapi#/${place.map(escape).join('/')}`);
      if (!validate) return [`${method} ${path} answers ${response} as ${type}, which is not described`];
      if (type === 'text/event-stream' || validate(answer.json)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message }) => `${method} ${path} ${instancePath} ${message ?? ''}`,
      );
    },
  };
}
