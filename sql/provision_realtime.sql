-- provision(), component realtime: messages under policies, changes of rows, the publication.
CREATE EXTENSION mentalspace;
SELECT DISTINCT component FROM mentalspace.provision('{realtime}') ORDER BY 1;
SELECT realtime.topic() IS NULL AS none;
CREATE POLICY "members of the room" ON realtime.messages FOR SELECT TO authenticated USING (realtime.topic() = 'room:' || (auth.jwt() ->> 'room'));
CREATE POLICY "members send" ON realtime.messages FOR INSERT TO authenticated WITH CHECK (topic = 'room:' || (auth.jwt() ->> 'room'));
SELECT realtime.send('{"text": "from the owner"}', 'note', 'room:1', false);
SELECT realtime.send('{"id": "given"}', 'note', 'room:2');
SELECT realtime.send_binary('\x00ff', 'bytes', 'room:2');
SELECT topic, event, private, extension, payload ? 'id' AS has_id, payload - 'id' AS payload, payload ->> 'id' = id::text AS own_id, binary_payload, tableoid::regclass
  FROM realtime.messages ORDER BY topic, event;

BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = '{"role": "authenticated", "room": "1"}';
SELECT realtime.send('{"text": "from a member"}', 'note', 'room:1');
-- not a member there: a warning, and no message
SELECT realtime.send('{"text": "from outside"}', 'note', 'room:2');
SELECT set_config('realtime.topic', 'room:1', true);
SELECT topic, payload ->> 'text' AS text FROM realtime.messages ORDER BY text;
SELECT set_config('realtime.topic', 'room:2', true);
SELECT count(*) FROM realtime.messages;
-- the partition has no policy, and no rights, of its own
SELECT count(*) FROM realtime.messages_default;
ROLLBACK;

-- changes of rows
CREATE TABLE public.notes (id int PRIMARY KEY, body text);
CREATE FUNCTION public.notes_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM realtime.broadcast_changes('notes', tg_op, tg_op, tg_table_name, tg_table_schema, new, old);
    RETURN NULL;
END $$;
CREATE TRIGGER notes_changed AFTER INSERT OR UPDATE OR DELETE ON public.notes FOR EACH ROW EXECUTE FUNCTION public.notes_changed();
INSERT INTO public.notes VALUES (1, 'a');
UPDATE public.notes SET body = 'b';
DELETE FROM public.notes;
SELECT event, payload - 'id' AS payload FROM realtime.messages WHERE topic = 'notes' ORDER BY event;
SELECT realtime.broadcast_changes('t', 'e', 'INSERT', 'notes', 'public', NULL::public.notes, NULL::public.notes, 'STATEMENT');
SELECT realtime.broadcast_changes('t', 'e', 'TRUNCATE', 'notes', 'public', NULL::public.notes, NULL::public.notes);

-- the publication is the owner's: projects add tables, drop it and make it again
SET client_min_messages = error;
ALTER PUBLICATION supabase_realtime ADD TABLE public.notes;
SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime';
SELECT state FROM mentalspace.provision('{realtime}') WHERE kind = 'publication';
DROP PUBLICATION supabase_realtime;
SELECT state FROM mentalspace.provision('{realtime}') WHERE kind = 'publication';
