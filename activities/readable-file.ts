import { accessSync, constants } from 'node:fs';
import { z } from 'zod';

/** Path of a file that is there: one that is missing is told with everything else that is wrong with a configuration. */
export const readableFile = z
  .string()
  .min(1, { abort: true })
  .superRefine((path, ctx) => {
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      ctx.addIssue(`names a file that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'no reason given'})`);
    }
  });
