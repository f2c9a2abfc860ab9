# The regression tests of the native flavour with AddressSanitizer and UndefinedBehaviorSanitizer in the module: nothing may
# be reported.  The server itself is the stock one; the sanitizers' library is loaded before it.
. "$MS_TOP/test/lib/stage.sh"
. "$MS_TOP/test/lib/regress.sh"
dir=$MS_WORK/sanitized
mkdir -p "$dir/source" "$dir/log"
chmod 1777 "$dir/log"
cp -a "$MS_TOP"/{Makefile,mentalspace.control,src} "$dir/source/"
cp -a "$MS_TOP/bin" "$dir/source/" 2>/dev/null
find "$dir/source" -name '*.o' -delete
# PGXS's -fwrapv would hide signed overflow, and its _FORTIFY_SOURCE some overruns.
if ! (MS_TOP=$dir/source ms_install "$dir/root" CPPFLAGS=-D_GNU_SOURCE FORCE_COMPANIONS=1 \
	MS_CXXFLAGS="-O1 -g -fno-wrapv -fno-omit-frame-pointer -Wno-maybe-uninitialized -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	MS_LDFLAGS="-fsanitize=address,undefined") >"$dir/build.log" 2>&1; then
	tail -n 30 "$dir/build.log"
	ms_report "not ok" "build with sanitizers"
	ms_done
	exit
fi
# Loaded into a running malloc, the library hangs; an object that is initialised before all others and allocates once
# makes it set itself up in time.  Into the server only: pg_ctl and the clients stay as they are.
echo 'extern "C" void *malloc(unsigned long); extern "C" void free(void *);
__attribute__((constructor)) static void first() { free(malloc(1)); }' >"$dir/first.cpp"
"${CXX:-g++}" -shared -fPIC -fno-builtin -Wl,-z,initfirst -o "$dir/first.so" "$dir/first.cpp"
cat >"$dir/postgres" <<-END
	#!/bin/sh
	export LD_PRELOAD='$("${CXX:-g++}" -print-file-name=libasan.so) $dir/first.so'
	export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$dir/log/asan
	export UBSAN_OPTIONS=print_stacktrace=1:log_path=$dir/log/ubsan
	exec '$("$PG_CONFIG" --bindir)/postgres' "\$@"
END
chmod 755 "$dir/postgres"
export MS_POSTGRES=$dir/postgres
ms_regress native "$dir/root"
reports=$(find "$dir/log" -type f | head -n 5)
if [ -z "$reports" ]; then
	ms_report ok "no report of a sanitizer"
else
	ms_report "not ok" "reports of a sanitizer"
	head -n 40 $reports
fi
ms_done
