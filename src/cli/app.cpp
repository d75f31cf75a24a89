#include "cli/app.hpp"

namespace mlferry::cli {

int run_app(int, char**) { return 1; }

}  // namespace mlferry::cli
