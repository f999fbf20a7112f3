import { loadConfig } from '../runtime/config';
import { runProcess } from '../runtime/shutdown';
import { projectManagerConfig } from './config';
import { startProjectManager } from './service';

runProcess('project-manager', async (lifecycle) => {
  await startProjectManager(loadConfig(projectManagerConfig, process.env), lifecycle);
});
