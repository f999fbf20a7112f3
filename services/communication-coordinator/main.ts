import { loadConfig } from '../runtime/config';
import { runProcess } from '../runtime/shutdown';
import { coordinatorConfig } from './config';
import { startCoordinator } from './service';

runProcess('communication-coordinator', async (lifecycle) => {
  await startCoordinator(loadConfig(coordinatorConfig, process.env), lifecycle);
});
