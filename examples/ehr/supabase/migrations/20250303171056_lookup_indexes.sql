-- Not in a transaction, so that nobody waits while these are built.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_clients_practice_name
  ON public.clients (practice_id, last_name, first_name);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_appointments_clinician_day
  ON public.appointments (clinician_id, starts_at);
