import { readFile } from 'node:fs/promises';
import { MongoClient, type Db } from 'mongodb';
import { z } from 'zod';
import { readableFile } from '../readable-file';

/** Fragment for processes that hold a MongoDB connection. A server of the user's own may need neither password nor CA. */
export const mongoConfig = z.object({
  AATS_MONGO_URL: z.url({ protocol: /^mongodb(\+srv)?$/ }),
  AATS_MONGO_PASSWORD_FILE: readableFile.optional(),
  AATS_SERVERS_CA_FILE: readableFile.optional(),
});
export type MongoConfig = z.output<typeof mongoConfig>;

export interface Mongo {
  readonly db: Db;
  /** Answers by a round trip. */
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const connectAgainMs = 1000;

/** Opens the pool without waiting for the server. An operation waits for one for up to 4 s, and for its answer for up to 6 s. */
export async function openMongo(config: MongoConfig): Promise<Mongo> {
  const url = new URL(config.AATS_MONGO_URL);
  const password =
    config.AATS_MONGO_PASSWORD_FILE && (await readFile(config.AATS_MONGO_PASSWORD_FILE, 'utf8')).trimEnd();
  const overTls = url.searchParams.get('tls') === 'true' || url.protocol === 'mongodb+srv:';
  const client = new MongoClient(config.AATS_MONGO_URL, {
    appName: 'aats',
    serverSelectionTimeoutMS: 4000,
    connectTimeoutMS: 4000,
    socketTimeoutMS: 6000,
    ...(password && { auth: { username: decodeURIComponent(url.username), password } }),
    ...(overTls && config.AATS_SERVERS_CA_FILE && { tlsCAFile: config.AATS_SERVERS_CA_FILE }),
  });
  const db = client.db();
  // A client whose first connection failed stays closed until it is told to connect again; later breaks it mends itself.
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const connect = (): void => {
    client.connect().catch(() => {
      if (!isClosed) timer = setTimeout(connect, connectAgainMs);
    });
  };
  connect();
  return {
    db,
    ping: async () => {
      await db.command({ ping: 1 });
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      return client.close();
    },
  };
}
