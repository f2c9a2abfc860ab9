// Calls functions by the protocol's fast path, as the first thing that a session does: node fastpath.mjs, with PGHOST,
// PGPORT, PGUSER and PGDATABASE.  Under the lock `always`, each must be refused with 42501.
import net from 'node:net';

const int32 = (n) => { const b = Buffer.alloc(4); b.writeInt32BE(n); return b; };
const int16 = (n) => { const b = Buffer.alloc(2); b.writeInt16BE(n); return b; };
const message = (type, ...parts) => { const body = Buffer.concat(parts); return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]); };
const call = (oid, args) => message('F', int32(oid), int16(0), int16(args.length),
	...args.flatMap((arg) => [int32(Buffer.byteLength(arg)), Buffer.from(arg)]), int16(0));

/* The SQLSTATE that the call ends with, or 'done'. */
const answer = (oid, args) => new Promise((resolve, reject) => {
	const socket = net.connect(Number(process.env.PGPORT), process.env.PGHOST);
	const options = Buffer.from(`user\0${process.env.PGUSER}\0database\0${process.env.PGDATABASE}\0\0`);
	let data = Buffer.alloc(0), ready = 0, result = 'done';
	socket.on('error', reject);
	socket.on('connect', () => socket.write(Buffer.concat([int32(options.length + 8), int32(196608), options])));
	socket.on('data', (chunk) => {
		data = Buffer.concat([data, chunk]);
		while (data.length >= 5 && data.length > data.readInt32BE(1)) {
			const length = data.readInt32BE(1) + 1, type = String.fromCharCode(data[0]), body = data.subarray(5, length).toString();
			if (type === 'E') result = /\0C(.{5})\0/.exec(body)[1];
			data = data.subarray(length);
			if (type !== 'Z') continue;
			if (++ready === 1) socket.write(call(oid, args));
			else { socket.end(); resolve(result); }
		}
	});
});

for (const [what, oid, ...args] of [
	['set_config() of the role', 2078, 'role', 'authenticated', 'f'], ['set_config() of the claims', 2078, 'request.jwt.claims', '{}', 'f'],
	['lo_creat()', 957, '-1'], ['pg_notify()', 3036, 'somebody', 'x'], ['pg_terminate_backend()', 2096, '1', '0'],
]) {
	const code = await answer(oid, args);
	console.log(`${code === '42501' ? 'ok' : 'not ok'} ${what}${code === '42501' ? '' : `: ${code}`}`);
}
