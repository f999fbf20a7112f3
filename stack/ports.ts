/** Ports of the specification (plus those it leaves open); `--port-offset N` moves all of them alike. */
export const ports = {
  temporal: 7233,
  temporalUi: 8233,
  temporalMetrics: 7234,
  postgres: 5432,
  mongo: 27017,
  mongoDebug: 27018,
  neo4jBolt: 7687,
  neo4jHttp: 7474,
  neo4jHttps: 7473,
  redis: 6379, // six nodes: 6379 to 6384; their cluster bus is 10000 above
  kafka: 9092, // brokers 2 and 3: 9192 and 9292
  kafkaController: 19093, // 9093 and 9094 belong to Alertmanager and its webhook; brokers 2 and 3: 19193 and 19293
  kafkaJmx: 9999,
  schemaRegistry: 8081,
  schemaRegistryManagement: 8082,
  rabbitmq: 5672, // TLS listener
  rabbitmqManagement: 15672,
  rabbitmqPrometheus: 15692,
  rabbitmqDistribution: 25672,
  epmd: 4369,
  projectManagerGrpc: 50060,
  projectManagerRest: 8090,
  databaseControllerGrpc: 50061,
  databaseControllerRest: 8091,
  communicationCoordinatorGrpc: 50062,
  communicationCoordinatorRest: 8092,
  hitl: 8093,
  workerMetrics: 8094, // the data worker: 8095
} as const;
export type PortName = keyof typeof ports;
