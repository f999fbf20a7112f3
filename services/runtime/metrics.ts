import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** A gRPC call or a REST request that has ended, by the name of its outcome. */
  observe(method: string, code: string, seconds: number): void;
}

/** The process' own figures and those of its calls, labelled with the service. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const calls = new Counter({
    name: 'aats_calls_total',
    help: 'Calls by method and outcome',
    labelNames: ['method', 'code'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'aats_call_seconds',
    help: 'Time of calls',
    labelNames: ['method'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return {
    registry,
    observe(method, code, took) {
      calls.inc({ method, code });
      seconds.observe({ method }, took);
    },
  };
}
