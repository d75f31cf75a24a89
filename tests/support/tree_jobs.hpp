#pragma once
// Jobs from and to plain directories, run to their end, and what lies in a directory.

#include <map>
#include <string>

#include "support/ferry.hpp"

namespace mlferry::test {

engine::Report exported_tree(boost::asio::io_context& loop, const FakeMlflow& from, std::string folder,
                             engine::JobOptions options = {});
engine::Report imported_tree(boost::asio::io_context& loop, std::string folder, const FakeMlflow& to,
                             std::string state, engine::JobOptions options = {});
engine::Report tree_to_archive(boost::asio::io_context& loop, std::string folder, std::string archive);
engine::Report archive_to_tree(boost::asio::io_context& loop, std::string archive, std::string folder);
engine::Report tree_to_tree(boost::asio::io_context& loop, std::string from, std::string to);

// Path -> bytes, without mlferry's own folder and how long the job took; paths of folders end in '/' where
// they are empty.
std::map<std::string, std::string> tree_contents(const std::string& folder);
// The first few paths that differ; "" when nothing does.
std::string tree_difference(const std::map<std::string, std::string>& one,
                            const std::map<std::string, std::string>& other);

}  // namespace mlferry::test
