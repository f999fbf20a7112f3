import { loadConfig } from '../runtime/config';
import { runProcess } from '../runtime/shutdown';
import { databaseControllerConfig } from './config';
import { startDatabaseController } from './service';

runProcess('database-controller', async (lifecycle) => {
  await startDatabaseController(loadConfig(databaseControllerConfig, process.env), lifecycle);
});
