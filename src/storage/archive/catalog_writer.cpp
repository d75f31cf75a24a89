#include "storage/archive/catalog_writer.hpp"

namespace mlferry::archive {

namespace {

// The working file is thrown away when anything goes wrong, so it needs no journal and no syncs.
constexpr const char* kWorkingFile =
    "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA cache_size=-16000; PRAGMA temp_store=FILE; PRAGMA application_id=0x4d4c4659; PRAGMA "
    "user_version=1;";

constexpr const char* kSchema = R"(
CREATE TABLE packs(pack INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
CREATE TABLE frames(pack INTEGER NOT NULL, frame INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT NULL,
  raw INTEGER NOT NULL, encoding INTEGER NOT NULL, sha256 BLOB, PRIMARY KEY(pack, frame)) WITHOUT ROWID;
CREATE TABLE chunks(sha256 BLOB PRIMARY KEY, pack INTEGER NOT NULL, frame INTEGER NOT NULL, offset INTEGER NOT NULL,
  size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE objects(object INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL,
  name TEXT NOT NULL, lifecycle TEXT NOT NULL, status TEXT NOT NULL, time INTEGER, fingerprint TEXT NOT NULL,
  pack INTEGER, frame INTEGER, offset INTEGER, length INTEGER, UNIQUE(kind, id));
CREATE TABLE files(object INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,
  PRIMARY KEY(object, path)) WITHOUT ROWID;
CREATE TABLE file_chunks(object INTEGER NOT NULL, path TEXT NOT NULL, position INTEGER NOT NULL,
  sha256 BLOB NOT NULL, PRIMARY KEY(object, path, position)) WITHOUT ROWID;
CREATE TABLE gaps(kind TEXT NOT NULL, id TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(kind, id, path)) WITHOUT ROWID;
)";

sqlite::Database open(const std::string& path) {
  sqlite::Database database(path, sqlite::Database::Mode::create);
  database.execute(kWorkingFile);
  database.execute(kSchema);
  return database;
}

std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

}  // namespace

CatalogWriter::CatalogWriter(const std::string& path)
    : database_(open(path)),
      frame_(database_.prepare("INSERT OR IGNORE INTO frames VALUES(?,?,?,?,?,?,?)")),
      chunk_(database_.prepare("INSERT OR IGNORE INTO chunks VALUES(?,?,?,?,?)")),
      object_(database_.prepare(
          "INSERT INTO "
          "objects(kind,id,parent,name,lifecycle,status,time,fingerprint,pack,frame,offset,length)"
          " VALUES(?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(kind,id) DO UPDATE SET parent=excluded.parent,"
          " name=excluded.name, lifecycle=excluded.lifecycle, status=excluded.status, time=excluded.time,"
          " fingerprint=excluded.fingerprint, pack=excluded.pack, frame=excluded.frame, "
          "offset=excluded.offset,"
          " length=excluded.length")),
      mention_(
          database_.prepare("INSERT OR IGNORE INTO objects(kind,id,parent,name,lifecycle,status,fingerprint)"
                            " VALUES(?,?,'','','','','')")),
      number_(database_.prepare("SELECT object FROM objects WHERE kind=? AND id=?")),
      file_(database_.prepare("INSERT OR REPLACE INTO files VALUES(?,?,?,?)")),
      file_chunk_(database_.prepare("INSERT INTO file_chunks VALUES(?,?,?,?)")),
      forget_chunks_(database_.prepare("DELETE FROM file_chunks WHERE object=? AND path=?")),
      gap_(database_.prepare("INSERT OR REPLACE INTO gaps VALUES(?,?,?,?)")) {}

std::int64_t CatalogWriter::object_number(const std::string& kind, const std::string& id) {
  if (last_number_ != 0 && last_id_ == id && last_kind_ == kind) return last_number_;
  mention_.bind(1, kind).bind(2, id).run();
  number_.bind(1, kind).bind(2, id).step();
  last_number_ = number_.number(0);
  number_.reset();
  last_kind_ = kind;
  last_id_ = id;
  return last_number_;
}

struct CatalogWriter::Apply {
  CatalogWriter& writer;

  void operator()(const FrameInsert& row) const {
    auto& statement = writer.frame_;
    statement.bind(1, std::int64_t{row.pack}).bind(2, std::int64_t{row.frame}).bind(3, signed_of(row.offset));
    statement.bind(4, std::int64_t{row.stored})
        .bind(5, std::int64_t{row.raw})
        .bind(6, std::int64_t{row.encoding});
    if (row.sha256) {
      statement.bind_blob(7, bytes_of(*row.sha256));
    } else {
      statement.bind_null(7);
    }
    statement.run();
  }
  void operator()(const ChunkInsert& row) const {
    auto& statement = writer.chunk_;
    statement.bind_blob(1, bytes_of(row.sha256))
        .bind(2, std::int64_t{row.pack})
        .bind(3, std::int64_t{row.frame});
    statement.bind(4, std::int64_t{row.offset}).bind(5, std::int64_t{row.size}).run();
  }
  void operator()(const ObjectInsert& insert) const {
    auto const& row = insert.row;
    auto& statement = writer.object_;
    statement.bind(1, row.kind).bind(2, row.id).bind(3, row.parent).bind(4, row.name).bind(5, row.lifecycle);
    statement.bind(6, row.status);
    if (row.time) {
      statement.bind(7, *row.time);
    } else {
      statement.bind_null(7);
    }
    statement.bind(8, row.fingerprint)
        .bind(9, std::int64_t{insert.pack})
        .bind(10, std::int64_t{insert.frame});
    statement.bind(11, signed_of(insert.offset)).bind(12, signed_of(insert.length)).run();
  }
  void operator()(const FileInsert& row) const {
    auto const object = writer.object_number(row.kind, row.id);
    writer.file_.bind(1, object)
        .bind(2, row.path)
        .bind(3, signed_of(row.size))
        .bind_blob(4, bytes_of(row.sha256));
    writer.file_.run();
    writer.forget_chunks_.bind(1, object).bind(2, row.path).run();
    for (std::size_t i = 0; i < row.chunks.size(); ++i) {
      writer.file_chunk_.bind(1, object).bind(2, row.path).bind(3, signed_of(i));
      writer.file_chunk_.bind_blob(4, bytes_of(row.chunks[i])).run();
    }
  }
  void operator()(const GapRow& row) const {
    writer.gap_.bind(1, row.kind).bind(2, row.id).bind(3, row.path).bind(4, row.reason).run();
  }
};

void CatalogWriter::apply(const std::vector<CatalogInsert>& inserts) {
  sqlite::Transaction transaction(database_);
  for (auto const& insert : inserts) std::visit(Apply{*this}, insert);
  transaction.commit();
}

CatalogWriter::Totals CatalogWriter::finish(const std::vector<Pack>& packs, const std::string& path) {
  {
    sqlite::Transaction transaction(database_);
    auto pack_row = database_.prepare("INSERT INTO packs VALUES(?,?,?)");
    for (auto const& pack : packs) {
      pack_row.bind(1, std::int64_t{pack.id}).bind(2, pack.name).bind(3, signed_of(pack.size)).run();
    }
    database_.execute(
        "DELETE FROM files WHERE object IN (SELECT object FROM objects WHERE pack IS NULL);"
        "DELETE FROM file_chunks WHERE object IN (SELECT object FROM objects WHERE pack IS NULL);"
        "DELETE FROM objects WHERE pack IS NULL;"
        "CREATE INDEX objects_by_parent ON objects(kind, parent);");
    transaction.commit();
  }
  Totals totals;
  auto const sum = [&](const char* sql, std::uint64_t& count) {
    auto statement = database_.prepare(sql);
    statement.step();
    count = static_cast<std::uint64_t>(statement.number(0));
    totals.bytes += static_cast<std::uint64_t>(statement.number(1));
  };
  sum("SELECT count(*), coalesce(sum(length), 0) FROM objects", totals.objects);
  sum("SELECT count(*), coalesce(sum(size), 0) FROM files", totals.files);
  database_.prepare("VACUUM INTO ?").bind(1, path).run();
  return totals;
}

}  // namespace mlferry::archive
