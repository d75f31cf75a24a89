#pragma once
// Reads the whole metric histories of a group of runs with the fewest requests: one get-history-bulk call a
// key and hundred runs, split where the server's limit of 25000 rows cut the answer (mlflow-rest section 5).

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/context.hpp"
#include "engine/records.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// How many run ids fit one bulk request: 100, fewer when the key is so long that gunicorn's request line of
// 4094 bytes would not hold them. `prefix_bytes`: of the base URL's path.
std::size_t bulk_group_size(std::string_view key, std::size_t prefix_bytes);

// What an answer to a bulk request is worth. `asked` sorted.
struct BulkSplit {
  std::size_t complete = 0;  // so many of the first `asked` runs are complete
  // The next question is about asked[complete..]; it must go through get-history when that run alone fills an
  // answer.
  bool first_alone_too_big = false;
};
// `last_run`: run id of the last row. The server orders rows by run id and cuts at `limit`.
BulkSplit split_bulk(const std::vector<std::string>& asked, std::size_t rows, std::size_t limit,
                     const std::string& last_run);

// Fills `history` of every record that has no read_error and is not `unchanged`. A run whose history cannot
// be read gets a read_error; so does one that has a last value for a key but no rows. Throws on
// authentication and when cancelled only.
async::Task<> read_histories(const Context& context, mlflow::Client& client,
                             const mlflow::Capabilities& capabilities, std::vector<RunRecord>& runs);

}  // namespace mlferry::engine
