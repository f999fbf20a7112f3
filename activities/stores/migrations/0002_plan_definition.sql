-- What was started: the plan as its author wrote it, and its inputs; never changed afterwards.
create schema plans;

create table plans.definition (
  plan_id text primary key check (plan_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null,
  content_digest text not null,
  source jsonb not null,
  inputs jsonb not null,
  owner text not null,
  started_at timestamptz not null
);
create index definition_by_name on plans.definition (name, started_at desc);

grant usage on schema plans to aats_plans;
grant select, insert on plans.definition to aats_plans;
