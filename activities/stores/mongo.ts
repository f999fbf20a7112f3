import { readFile } from 'node:fs/promises';
import { MongoClient, type Db } from 'mongodb';
import { z } from 'zod';

/** Fragment for processes that hold a MongoDB connection. A server of the user's own may need neither password nor CA. */
export const mongoConfig = z.object({
  AATS_MONGO_URL: z.url({ protocol: /^mongodb(\+srv)?$/ }),
  AATS_MONGO_PASSWORD_FILE: z.string().min(1).optional(),
  AATS_SERVERS_CA_FILE: z.string().min(1).optional(),
});
export type MongoConfig = z.output<typeof mongoConfig>;

export interface Mongo {
  readonly db: Db;
  /** Answers by a round trip; rejects within 2 s while there is no server. */
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Opens the pool without waiting for the server: the first operation does, for up to 10 s. */
export async function openMongo(config: MongoConfig): Promise<Mongo> {
  const url = new URL(config.AATS_MONGO_URL);
  const password =
    config.AATS_MONGO_PASSWORD_FILE && (await readFile(config.AATS_MONGO_PASSWORD_FILE, 'utf8')).trimEnd();
  const overTls = url.searchParams.get('tls') === 'true' || url.protocol === 'mongodb+srv:';
  const client = new MongoClient(config.AATS_MONGO_URL, {
    appName: 'aats',
    serverSelectionTimeoutMS: 10_000,
    ...(password && { auth: { username: decodeURIComponent(url.username), password } }),
    ...(overTls && config.AATS_SERVERS_CA_FILE && { tlsCAFile: config.AATS_SERVERS_CA_FILE }),
  });
  const db = client.db();
  return {
    db,
    ping: async () => {
      await db.command({ ping: 1 }, { timeoutMS: 2000 });
    },
    close: () => client.close(),
  };
}
