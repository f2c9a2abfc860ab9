# mentalspace: the product build (PGXS).  `make help` lists what one can ask for.
#
#   make                 the module and the install scripts of the native flavour
#   make install         into the server that PG_CONFIG names (DESTDIR is honoured)
#   make FLAVOR=trusted  the SQL-only install script, in dist/
#   make install COMPANIONS="pgjwt http"   only these companion extensions (see docs/companions.md); default: all
#   make pgtle           the same, wrapped for pg_tle, in dist/
#   make demo, make check, make check-all   see test/demo and test/check

EXTENSION  = mentalspace
# The control file is the only place that holds the version.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(dir $(firstword $(MAKEFILE_LIST)))mentalspace.control)
PG_CONFIG ?= pg_config

# `make demo` and `make check` must work before PostgreSQL is installed: they do not need PGXS.
ifneq (,$(filter demo check check-all help,$(MAKECMDGOALS)))

demo:
	@test/demo
check:
	@test/check
check-all:
	@test/check --all
help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))
.PHONY: demo check check-all help

else

FLAVOR ?= native
top := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
MODULE_big = mentalspace
OBJS = $(patsubst $(top)/%.cpp,%.o,$(sort $(shell find $(top)/src -name '*.cpp')))

DATA_built = sql-build/$(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = sql-build dist build

# Companion extensions, each a folder of src/companions with a control file.
COMPANIONS ?= $(sort $(notdir $(basename $(wildcard $(top)/src/companions/*/*.control))))
companions_built = sql-build/companions-$(FLAVOR)

PG_CPPFLAGS = -I$(top)/src -isystem $(shell $(PG_CONFIG) --includedir-server) -DMS_VERSION='"$(EXTVERSION)"'
PG_CXXFLAGS = -std=c++20 -Wall -Wextra -Werror -fno-math-errno $(MS_CXXFLAGS)
# PGXS links with the C compiler, so the C++ runtime is named here.
SHLIB_LINK = -lcrypto -lstdc++ -Wl,--version-script=$(top)/src/mentalspace.map -Wl,-z,relro,-z,now $(MS_LDFLAGS)
# The bitcode rule ignores PG_CXXFLAGS, and a module of hooks gains nothing from inlining.
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

sql-build/$(EXTENSION)--$(EXTVERSION).sql: $(top)/mentalspace.control $(top)/src/sql/manifest $(shell find $(top)/src -name '*.sql')
	@mkdir -p $(@D)
	$(top)/src/sql/assemble native > $@

# The companions' control files and install scripts.  Installed where the server has no extension of that name.
all: $(companions_built)/made
$(companions_built)/made: $(top)/mentalspace.control $(top)/src/sql/assemble $(shell find $(top)/src/companions -type f -not -name '*.cpp')
	@rm -rf $(@D) && mkdir -p $(@D)
	@set -e; for control in $(top)/src/companions/*/*.control; do name=$$(basename $$control .control); \
		$(top)/src/sql/assemble $(FLAVOR) $$name control > $(@D)/$$name.control; \
		$(top)/src/sql/assemble $(FLAVOR) $$name > $(@D)/$$name--$(EXTVERSION)-mentalspace.sql; done
	@touch $@

companions_env = SHAREDIR='$(datadir)/extension' DESTDIR='$(DESTDIR)' FORCE_COMPANIONS='$(FORCE_COMPANIONS)'
install: install-companions
install-companions: all installdirs
	@$(companions_env) $(top)/src/companions/install $(companions_built) $(COMPANIONS)
uninstall: uninstall-companions
uninstall-companions:
	@$(companions_env) $(top)/src/companions/install --remove $(COMPANIONS)
.PHONY: install-companions uninstall-companions

# Headers are few and small: every object follows all of them.
$(OBJS): $(shell find $(top)/src -name '*.h') $(top)/mentalspace.control

endif
