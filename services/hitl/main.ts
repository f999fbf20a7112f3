import { loadConfig } from '../runtime/config';
import { runProcess } from '../runtime/shutdown';
import { hitlConfig } from './config';
import { startHitl } from './service';

runProcess('hitl', (lifecycle) => startHitl(loadConfig(hitlConfig, process.env), lifecycle));
