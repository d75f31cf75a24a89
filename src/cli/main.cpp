#include "cli/app.hpp"

int main(int argc, char** argv) {
  return mlferry::cli::run_app(argc, argv);
}
