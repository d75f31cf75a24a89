#pragma once
// A small MLflow server's content with one of everything that a transfer can get wrong: parents that come
// later, deleted objects, ids in texts, gaps in version numbers, doubles at the edges.

#include <string>

#include "support/fake_mlflow.hpp"

namespace mlferry::test {

// Fills an empty fake server. Every run and logged model has a name of its own.
void fill_workload(FakeMlflow& server);

// Adds a prompt with a gap in its versions, and three traces: with a file and an assessment, linked with a run and the
// prompt, and in a deleted experiment.
void add_prompt_and_traces(FakeMlflow& server);

// Options of a server that copies go to: its ids are others than those of a server with default options.
FakeOptions destination(FakeOptions options = {});

// Short ways to make objects; they return ids.
std::string make_experiment(FakeMlflow& server, const std::string& name);
std::string make_run(FakeMlflow& server, const std::string& experiment_id, const std::string& name,
                     std::int64_t start_time = 1000);
void set_run_tag(FakeMlflow& server, const std::string& run_id, const std::string& key,
                 const std::string& value);
void log_metric(FakeMlflow& server, const std::string& run_id, const std::string& key, double value,
                std::int64_t step, std::int64_t timestamp = 5000);
void finish_run(FakeMlflow& server, const std::string& run_id);
// A trace with two spans in the database, and one event with NaN and "NaN"; returns its id, which is made of `number`.
std::string make_trace(FakeMlflow& server, const std::string& experiment_id, int number);
// Where the trace's files are in the proxied store.
std::string trace_files(FakeMlflow& server, const std::string& trace_id);
// "1/<run id>/artifacts": where the run's files are in the proxied store.
std::string run_files(FakeMlflow& server, const std::string& run_id);
std::string experiment_id(FakeMlflow& server, const std::string& name);
// Of the run or logged model with that name, in any experiment, deleted or not.
std::string run_id(FakeMlflow& server, const std::string& name);
std::string logged_model_id(FakeMlflow& server, const std::string& name);

}  // namespace mlferry::test
