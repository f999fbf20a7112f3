import { answering } from '../../activities/stores/answering';
import { createPeopleStore } from '../../activities/stores/people-store';
import { createPostgres } from '../../activities/stores/postgres';
import { createRedis } from '../../activities/stores/redis';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { readSecretFile } from '../runtime/config';
import { createGrpcClient } from '../runtime/grpc-client';
import { createHealth } from '../runtime/health';
import { createRestApp, startHttpsServer } from '../runtime/http';
import { createIdentities } from '../runtime/identity';
import { createMetrics } from '../runtime/metrics';
import type { Lifecycle } from '../runtime/shutdown';
import { clientCredentials, readTls } from '../runtime/tls';
import type { HitlConfig } from './config';
import { createPlanHub } from './plan-hub';
import { addPages } from './routes/pages';
import { createPageSessions } from './sign-in/page-session';
import { addSignInRoutes } from './sign-in/routes';
import { createSessionStore, createSignIn } from './sign-in/sign-in';
import { createTokenIssuer } from './sign-in/tokens';

const graceSeconds = 10;

/** Starts the people's interface: sign-in, and the page, which acts at the services as the person. */
export async function startHitl(config: HitlConfig, lifecycle: Lifecycle): Promise<void> {
  const { logger } = lifecycle;
  const tls = readTls(config);
  const pool = createPostgres(config);
  lifecycle.onStop('PostgreSQL', () => pool.end());
  const redis = createRedis(config);
  lifecycle.onStop('Redis', async () => Promise.resolve(void redis.disconnect()));
  const keys = answering('Redis', redis);
  const people = createPeopleStore(pool, readSecretFile(config.AATS_FACTOR_KEY_FILE));
  const tokens = createTokenIssuer(keys, readSecretFile(config.AATS_SIGNING_KEY_FILE));
  const signIn = createSignIn(people, tokens, keys);
  const health = createHealth({ postgresql: () => people.ping(), redis: () => redis.get('signin:health') });
  const metrics = createMetrics('hitl');
  const identities = createIdentities({
    jwksUrl: `https://localhost:${config.AATS_REST_PORT}/.well-known/jwks.json`,
    ca: tls.ca,
  });
  const { app, router } = createRestApp({ identities, logger, health, metrics });
  addSignInRoutes(router, signIn, tokens);

  const client = { credentials: clientCredentials(tls), surface: 'web' as const };
  const plans = createGrpcClient(ProjectManager, { address: config.AATS_PROJECT_MANAGER_ADDRESS, ...client });
  const approvals = createGrpcClient(Approvals, { address: config.AATS_PROJECT_MANAGER_ADDRESS, ...client });
  const artifacts = createGrpcClient(Artifacts, { address: config.AATS_DATABASE_CONTROLLER_ADDRESS, ...client });
  const agents = createGrpcClient(CommunicationCoordinator, { address: config.AATS_COORDINATOR_ADDRESS, ...client });
  lifecycle.onStop('clients', async () => {
    plans.close();
    approvals.close();
    artifacts.close();
    agents.close();
    return Promise.resolve();
  });
  const upstream = { plans, approvals, artifacts, agents };
  const sessions = createPageSessions(createSessionStore(keys), signIn);
  const draining = new AbortController();
  const hub = createPlanHub(upstream);
  addPages(
    router,
    { upstream, sessions, hub, draining: draining.signal, patienceMs: config.AATS_STALLED_READER_MS, logger },
    signIn,
  );
  const https = await startHttpsServer({ tls, port: config.AATS_REST_PORT, app });
  lifecycle.onStop('HTTPS', () => {
    const drained = https.close(graceSeconds);
    draining.abort();
    return drained;
  });
}
