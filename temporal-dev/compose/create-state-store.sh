#!/bin/sh
# Run by the image of PostgreSQL when it makes its data: a database for the workers' state store, with a login of its own.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$BEAMLINE_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres << 'SQL'
CREATE ROLE beamline LOGIN PASSWORD :'password';
CREATE DATABASE beamline OWNER beamline;
REVOKE CONNECT ON DATABASE beamline FROM PUBLIC;
SQL
