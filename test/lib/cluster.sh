# Throw-away PostgreSQL clusters for the demo and the tests.  To be sourced by bash scripts.
#
#   ms_install ROOT [make args]         builds and installs the extension below ROOT (a DESTDIR), not into the system
#   ms_cluster_start DIR [conf lines]   a cluster below DIR, with the extension of MS_ROOT; sets PGHOST, PGPORT, PGUSER;
#                                       MS_POSTGRES is started instead of the server's own program
#   ms_cluster_stop                     stops it
#   ms_cluster_template                 initdb once: later clusters are copies of this one (needs MS_WORK)
#
# PostgreSQL does not run as root: as root, everything of the server runs as the user postgres.  Clusters listen on a
# Unix socket in their own directory only, unless the conf lines say otherwise.

: "${PG_CONFIG:=pg_config}"
MS_TOP=${MS_TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}

ms_as_server_user() {
	if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"); else "$@"; fi
}

ms_install() {
	local root=$1
	shift
	mkdir -p "$root"
	make -C "$MS_TOP" -j"$(nproc)" -s PG_CONFIG="$PG_CONFIG" "$@" &&
		make -C "$MS_TOP" -s PG_CONFIG="$PG_CONFIG" DESTDIR="$root" "$@" install
}

ms_initdb() {
	ms_as_server_user "$("$PG_CONFIG" --bindir)/initdb" -D "$1" -U postgres -A trust -E UTF8 --no-locale --no-sync \
		>"$(dirname "$1")/initdb.log" 2>&1 || { cat "$(dirname "$1")/initdb.log" >&2; return 1; }
}

ms_cluster_template() {
	local dir=$MS_WORK/template
	export MS_TEMPLATE=$dir/data
	[ ! -f "$MS_TEMPLATE/PG_VERSION" ] || return 0
	mkdir -p "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	ms_initdb "$MS_TEMPLATE"
}

ms_cluster_start() {
	local dir=$1 bindir libdir
	shift
	bindir=$("$PG_CONFIG" --bindir)
	libdir=$("$PG_CONFIG" --pkglibdir)
	MS_CLUSTER=$dir
	mkdir -p "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	if [ -n "${MS_TEMPLATE:-}" ]; then
		cp -a "$MS_TEMPLATE" "$dir/data"
	else
		ms_initdb "$dir/data" || return 1
	fi
	{
		echo "unix_socket_directories = '$dir'"
		echo "listen_addresses = ''"
		echo "fsync = off"
		echo "max_connections = 40"
		if [ -n "${MS_ROOT:-}" ]; then
			# Servers look for extensions below another directory, too: from 18 on, and Debian's before that.
			case $("$PG_CONFIG" --version) in
			*\ 15.* | *\ 16.* | *\ 17.*) echo "extension_destdir = '$MS_ROOT'" ;;
			*) echo "extension_control_path = '$MS_ROOT$("$PG_CONFIG" --sharedir):\$system'" ;;
			esac
			echo "dynamic_library_path = '$MS_ROOT$libdir:\$libdir'"
		fi
		printf '%s\n' "$@"
	} >>"$dir/data/postgresql.conf"
	ms_as_server_user "$bindir/pg_ctl" -D "$dir/data" -l "$dir/server.log" -p "${MS_POSTGRES:-$bindir/postgres}" -w -t 60 \
		start >/dev/null ||
		{ tail -n 20 "$dir/server.log" >&2; return 1; }
	export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

ms_cluster_stop() {
	[ -z "${MS_CLUSTER:-}" ] || [ ! -f "$MS_CLUSTER/data/postmaster.pid" ] ||
		ms_as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" -D "$MS_CLUSTER/data" -m immediate -w stop >/dev/null
}
