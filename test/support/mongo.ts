import { randomUUID } from 'node:crypto';
import { mongoConfig, openMongo, type Mongo } from '../../activities/stores/mongo';
import { identityEnvironment } from './stack';

/** A database of its own on the stack's server, or on that of `AATS_MONGO_URL`; `drop` leaves nothing behind. */
export async function openTestDatabase(): Promise<Mongo & { drop(): Promise<void> }> {
  const own = process.env['AATS_MONGO_URL'];
  const config = mongoConfig.parse(own ? process.env : identityEnvironment('database-controller'));
  const url = new URL(config.AATS_MONGO_URL);
  if (!url.searchParams.has('authSource') && url.username) {
    url.searchParams.set('authSource', url.pathname.slice(1) || 'admin');
  }
  url.pathname = `/aats_test_${randomUUID().slice(0, 8)}`;
  const mongo = await openMongo({ ...config, AATS_MONGO_URL: url.href });
  return {
    ...mongo,
    drop: async () => {
      await mongo.db.dropDatabase();
      await mongo.close();
    },
  };
}
