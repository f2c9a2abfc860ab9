# PostgreSQL 17 and 18: builds without warnings, and the regression and upgrade tests of both flavours, each in a chroot of
# a newer Debian release (700 MB, removed afterwards).  Needs root and the mirror of Debian that this machine uses.
. "$MS_TOP/test/lib/stage.sh"
. "$MS_TOP/test/lib/packages.sh"

# The first address of Debian's archive in the machine's own list of sources.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
	grep -E '^(URIs:|deb )' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | sed -E 's#/? *$##')
if [ "$(id -u)" != 0 ] || [ -z "$mirror" ] || ! ms_packages all; then
	ms_report "not ok" "needs root, mmdebstrap, and a mirror of Debian in the list of sources"
	ms_done
	exit
fi

# chroot_with VERSION SUITE ROOT: headers are unpacked, not installed, because that would pull in a second compiler.
chroot_with() {
	mmdebstrap --quiet --mode=root --variant=extract \
		--include="postgresql-$1,base-files,base-passwd,bash,dash,coreutils,findutils,util-linux,mawk,binutils,g++,make,libssl-dev" \
		--include="libpq-dev,diffutils,sed,grep,libc-bin,perl,hostname" \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--extract-hook='cd "$1" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -qq postgresql-server-dev-'"$1"' &&
			for f in *.deb; do dpkg -x "$f" .; done && rm *.deb' \
		"$2" "$3" "deb $mirror $2 main" || return 1
	echo 'root:x:0:0::/root:/bin/bash
postgres:x:100:100::/tmp:/bin/bash' >"$3/etc/passwd"
	echo 'root:x:0:
postgres:x:100:' >"$3/etc/group"
	[ -e "$3/usr/bin/awk" ] || ln -s mawk "$3/usr/bin/awk"
	mkdir -p "$3/source" "$3/check"
	# From 18 on, session_preload_libraries looks for $libdir in the server's own directory only.
	ln -s "/check/root-native/usr/lib/postgresql/$1/lib/mentalspace.so" "$3/usr/lib/postgresql/$1/lib/mentalspace.so"
	cp -a "$MS_TOP/." "$3/source"
	find "$3/source" -name '*.o' -delete
	rm -rf "$3"/source/{.git,sql-build,dist,build} "$3"/source/*.so
}

# within ROOT VERSION STAGE: one stage, inside.  The mounts go when it ends: they are in a namespace of its own.
within() {
	unshare --mount bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" env -i \
		HOME=/root LC_ALL=C PATH="/usr/lib/postgresql/$2/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
		MS_TOP=/source MS_WORK=/check PG_CONFIG="/usr/lib/postgresql/$2/bin/pg_config" bash "/source/test/stages/$3.sh"' - "$@"
}

while read -r version suite; do
	root=$MS_WORK/chroot-$version
	if ! chroot_with "$version" "$suite" "$root" >"$MS_WORK/chroot-$version.log" 2>&1; then
		tail -n 10 "$MS_WORK/chroot-$version.log"
		ms_report "not ok" "chroot with PostgreSQL $version"
		continue
	fi
	for stage in 30-regress-native 35-regress-trusted 37-parity 45-upgrade; do
		within "$root" "$version" "$stage" >"$MS_WORK/$version-$stage.log" 2>&1
		count=$(tail -n 1 "$MS_WORK/$version-$stage.log" | grep -oE '^[0-9]+ passed, [0-9]+ failed$')
		read -r passed _ failed _ <<<"${count:-0 passed, 1 failed}"
		echo "PostgreSQL $version, $stage: $passed passed, $failed failed"
		ms_passed=$((ms_passed + passed)) ms_failed=$((ms_failed + failed))
		[ "$failed" = 0 ] || grep -v '^ok ' "$MS_WORK/$version-$stage.log"
	done
	rm -rf --one-file-system "$root"
done <<-'END'
	17 trixie
	18 forky
END
ms_done
