import semver from 'semver';
import { z } from 'zod';

/** What the registry calls a package: an option, a path or an address is none, so it can stand in npm's arguments. */
export const packageName = z
  .string()
  .max(214)
  .regex(/^(@[a-z0-9~][a-z0-9-._~]*\/)?[a-z0-9~][a-z0-9-._~]*$/, 'must be the name of a package');
export const packageVersion = z.string().refine((text) => semver.valid(text) === text, 'must be one exact version');
export const upgrade = z.strictObject({ name: packageName, to: packageVersion });
export type Upgrade = z.output<typeof upgrade>;
