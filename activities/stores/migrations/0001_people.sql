-- People, what they may do, and how they prove who they are. Names are those of plans' `person:` and `group:`.
create schema people;

create table people.person (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  display_name text not null,
  password_hash text not null,
  -- AES-256-GCM: nonce, tag, ciphertext; the key is a file of the sign-in service.
  totp_secret bytea not null,
  -- The last time step whose code was used: a code counts once (RFC 6238, 5.2).
  totp_last_step bigint not null default 0,
  active boolean not null default true,
  created_at timestamptz not null default now()
);

create table people.person_role (
  person text not null references people.person on delete cascade,
  role text not null check (role in ('aats-admin', 'aats-operator', 'aats-viewer')),
  primary key (person, role)
);

create table people.person_group (
  person text not null references people.person on delete cascade,
  group_name text not null check (group_name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  primary key (person, group_name)
);

grant usage on schema people to aats_signin, aats_plans;
grant select on all tables in schema people to aats_signin;
grant update (totp_last_step) on people.person to aats_signin;
-- The validation of plans asks who there is, and sees no secret.
grant select (name, active) on people.person to aats_plans;
grant select on people.person_role, people.person_group to aats_plans;
