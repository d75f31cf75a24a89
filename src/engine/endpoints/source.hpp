#pragma once
// Where objects come from: a server or an archive. Listings are pulled page by page; nothing holds a whole
// server.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/byte_stream.hpp"
#include "async/task.hpp"
#include "engine/records.hpp"

namespace mlferry::engine {

struct SourceInfo {
  // Names the server that the objects come from, also when they are read from an archive of it: the first
  // half of every object's identity. The tracking URI without credentials, unless the user gave a name.
  std::string identity;
  std::string mlflow_version;  // "3.17.2": of the server, or of what exported a directory; "" when it is not known
  std::string description;  // for people: "http://host:5000", "archive /backup (snapshot 1f…)"
  // Kinds it holds that are not moved yet, and how many.
  std::map<std::string, std::int64_t> not_copied;
  std::vector<std::string> notes;
  json::object workspace;  // the document of the one that is read; empty where there are none
  // What the server does not show to this login, a sentence each: what is missing may be more than is known.
  std::vector<std::string> hidden;
  bool shows_users = true;  // false: it has none, or hides them
};

// Pages of records; nothing at the end. A page is never empty. Not to be called again before the last call
// has returned, nor after it threw.
template <class Record>
class Pages {
 public:
  virtual ~Pages() = default;
  virtual async::Task<std::optional<std::vector<Record>>> next() = 0;
};

// Tells a source what needs no reading: whether the target holds the object with this fingerprint.
class Known {
 public:
  virtual ~Known() = default;
  // `container`: source id of the experiment, "" where there is none.
  virtual async::Task<bool> unchanged(Kind kind, std::string container, std::string id,
                                      std::string fingerprint) = 0;
  // False when the target has no place for that kind: then only its listing is read, and the target says why
  // it skips each object.
  virtual bool holds(Kind) const { return true; }
  // Source ids of the logged models that the target has of this experiment from earlier jobs. A server lists
  // deleted ones nowhere, and the runs that name them are not read again while they are unchanged.
  virtual async::Task<std::vector<std::string>> known_logged_models(std::string) {
    co_return std::vector<std::string>();
  }
};

// Knows nothing: everything is read.
class KnowsNothing final : public Known {
 public:
  async::Task<bool> unchanged(Kind, std::string, std::string, std::string) override { co_return false; }
};

class Source {
 public:
  virtual ~Source() = default;
  // First of all: connects, checks, counts. Throws when the source is unreachable or not one.
  virtual async::Task<SourceInfo> open() = 0;
  // `known` must outlive the pages.
  virtual std::unique_ptr<Pages<ExperimentRecord>> experiments() = 0;
  virtual std::unique_ptr<Pages<RunRecord>> runs(std::string experiment_id, Known& known) = 0;
  // After the runs of that experiment: the deleted ones are found through them.
  virtual std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string experiment_id,
                                                                  Known& known) = 0;
  virtual std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known& known) = 0;
  virtual std::unique_ptr<Pages<TraceRecord>> traces(std::string experiment_id, Known& known) = 0;
  // Of one kind of engine/objects; all of them, whatever their experiment.
  virtual std::unique_ptr<Pages<ObjectRecord>> objects(Kind kind, Known& known) = 0;
  virtual async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner owner, FileEntry file) = 0;
};

}  // namespace mlferry::engine
