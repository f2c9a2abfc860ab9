# Packages that the build, the demo and the tests need, installed when something is missing.  To be sourced by bash.
#
#   ms_packages demo|check|all     installs what that needs and is not there yet; needs root only if something is missing

ms_packages_demo="g++ make postgresql-15 postgresql-server-dev-15 libpq-dev libssl-dev openssl"
ms_packages_check="cmake clang-14 libclang-rt-14-dev libgtest-dev libipc-run-perl pgbouncer postgresql-15-plpgsql-check libcurl4-openssl-dev"
ms_packages_all="mmdebstrap"
# Node may come from elsewhere, and then Debian's packages would fight with it.
command -v npm >/dev/null || ms_packages_check="$ms_packages_check nodejs npm"

ms_packages() {
	local wanted=$ms_packages_demo package missing=
	[ "$1" = demo ] || wanted="$wanted $ms_packages_check"
	[ "$1" != all ] || wanted="$wanted $ms_packages_all"
	for package in $wanted; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages:$missing (run as root, or install them with: apt-get install$missing)" >&2
		return 1
	fi
	echo "installing$missing"
	# No cluster of the distribution's own: the tests and the demo start theirs.
	mkdir -p /etc/postgresql-common
	[ -f /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
