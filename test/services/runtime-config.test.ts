import { projectManagerConfig } from '../../services/project-manager/config';
import { loadConfig } from '../../services/runtime/config';

describe('a configuration', () => {
  it('is refused with everything that is wrong with it, absent files too, and without a value', () => {
    const env = {
      TEMPORAL_ADDRESS: 'no-port',
      TEMPORAL_NAMESPACE: 'default',
      AATS_CA_FILE: __filename,
      AATS_CERT_FILE: '/nowhere/certificate.pem',
      AATS_KEY_FILE: '',
      AATS_KAFKA_PASSWORD_FILE: '/nowhere/kafka',
      AATS_POSTGRES_URL: 'postgres://aats:hunter2@localhost/aats',
      AATS_GRPC_PORT: '70000',
    };
    const load = (): unknown => loadConfig(projectManagerConfig, env);
    expect(load).toThrow('Invalid configuration');
    const lines = String(
      (() => {
        try {
          return load();
        } catch (error) {
          return error;
        }
      })(),
    ).split('\n');
    const named = lines.flatMap((line) => /^ {2}(\w+): /.exec(line)?.[1] ?? []);
    expect(named.sort()).toEqual(
      [
        'TEMPORAL_ADDRESS',
        'AATS_CERT_FILE',
        'AATS_KEY_FILE',
        'AATS_JWKS_URL',
        'AATS_KAFKA_BROKERS',
        'AATS_KAFKA_USER',
        'AATS_KAFKA_PASSWORD_FILE',
        'AATS_SERVERS_CA_FILE',
        'AATS_POSTGRES_PASSWORD_FILE',
        'AATS_COORDINATOR_ADDRESS',
        'AATS_GRPC_PORT',
      ].sort(),
    );
    expect(lines.join()).toContain('AATS_KAFKA_PASSWORD_FILE: names a file that cannot be read (ENOENT)');
    expect(lines.join()).not.toMatch(/hunter2|70000/);
  });
});
