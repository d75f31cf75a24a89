#include "engine/endpoints/mapped_source.hpp"

#include <algorithm>

namespace mlferry::engine {

namespace {

// The id of an experiment that is a copy of none.
constexpr const char* gathering_id = "into";

template <class Record>
class NoPages final : public Pages<Record> {
 public:
  async::Task<std::optional<std::vector<Record>>> next() override { co_return std::nullopt; }
};

}  // namespace

// Asks the target about the records as it will get them.
class MappedSource::MappedKnown final : public Known {
 public:
  MappedKnown(Known& target, std::string experiment_id, std::string suffix)
      : target_(target), experiment_id_(std::move(experiment_id)), suffix_(std::move(suffix)) {}

  async::Task<bool> unchanged(Kind kind, std::string container, std::string id, std::string fingerprint) override {
    if (!container.empty() && !experiment_id_.empty()) container = experiment_id_;
    co_return co_await target_.unchanged(kind, std::move(container), std::move(id), fingerprint + suffix_);
  }
  bool holds(Kind kind) const override { return target_.holds(kind); }
  async::Task<std::vector<std::string>> known_logged_models(std::string container) override {
    return target_.known_logged_models(experiment_id_.empty() ? std::move(container) : experiment_id_);
  }

 private:
  Known& target_;
  std::string experiment_id_, suffix_;
};

MappedSource::MappedSource(Source& inner, Mapping mapping) : inner_(inner), mapping_(std::move(mapping)) {}

async::Task<SourceInfo> MappedSource::open() {
  auto info = co_await inner_.open();
  std::vector<std::string> names;
  if (!mapping_.into_experiment.empty()) {
    auto pages = inner_.experiments();
    while (auto page = co_await pages->next()) {
      for (auto& record : *page) {
        names.emplace_back(record.experiment.name());
        all_.push_back(std::move(record));
      }
    }
    bool const copy = mapping_.experiment_metadata && all_.size() == 1 && !all_[0].experiment.name().empty();
    one_id_ = copy ? std::string(all_[0].experiment.id()) : gathering_id;
    info.description += ", into experiment '" + mapping_.into_experiment + "'";
  }
  info.identity += mapping_.identity_suffix(names);
  co_return info;
}

class MappedSource::ExperimentPages final : public Pages<ExperimentRecord> {
 public:
  explicit ExperimentPages(MappedSource& source) : source_(source) {}

  async::Task<std::optional<std::vector<ExperimentRecord>>> next() override {
    if (!source_.mapping_.takes(Kind::experiment)) co_return std::nullopt;
    if (!source_.mapping_.into_experiment.empty()) co_return one();
    if (!pages_) pages_ = source_.inner_.experiments();
    auto page = co_await pages_->next();
    if (page) {
      for (auto& record : *page) source_.mapping_.apply(record);
    }
    co_return page;
  }

 private:
  std::optional<std::vector<ExperimentRecord>> one() {
    if (given_ || source_.all_.empty()) return std::nullopt;
    given_ = true;
    std::vector<ExperimentRecord> records(1);
    auto& record = records.front();
    if (source_.mapping_.experiment_metadata && source_.all_.size() == 1) {
      record = source_.all_.front();
    } else {
      record.experiment.doc = {{"lifecycle_stage", "active"}};
    }
    record.experiment.doc["experiment_id"] = source_.one_id_;
    source_.mapping_.apply(record);
    return records;
  }

  MappedSource& source_;
  std::unique_ptr<Pages<ExperimentRecord>> pages_;
  bool given_ = false;
};

// The members of one experiment after those of the other.
template <class Record>
class MappedSource::MemberPages final : public Pages<Record> {
 public:
  using Make = std::unique_ptr<Pages<Record>> (Source::*)(std::string, Known&);
  MemberPages(MappedSource& source, std::vector<std::string> experiments, Known& known, Make make)
      : source_(source),
        experiments_(std::move(experiments)),
        known_(known, source.one_id_, source.mapping_.fingerprint_suffix()),
        make_(make) {}

  async::Task<std::optional<std::vector<Record>>> next() override {
    while (at_ < experiments_.size()) {
      if (!pages_) pages_ = (source_.inner_.*make_)(experiments_[at_], known_);
      auto page = co_await pages_->next();
      if (page) {
        for (auto& record : *page) source_.mapping_.apply(record, source_.one_id_);
        co_return page;
      }
      pages_.reset();
      ++at_;
    }
    co_return std::nullopt;
  }

 private:
  MappedSource& source_;
  std::vector<std::string> experiments_;
  MappedKnown known_;
  Make make_;
  std::unique_ptr<Pages<Record>> pages_;
  std::size_t at_ = 0;
};

class MappedSource::ModelPages final : public Pages<RegisteredModelRecord> {
 public:
  ModelPages(MappedSource& source, Known& known)
      : source_(source), known_(known, "", source.mapping_.fingerprint_suffix()),
        pages_(source.inner_.registered_models(known_)) {}

  async::Task<std::optional<std::vector<RegisteredModelRecord>>> next() override {
    while (auto page = co_await pages_->next()) {
      std::erase_if(*page, [this](const auto& record) { return !source_.mapping_.takes(record.kind()); });
      for (auto& record : *page) {
        source_.mapping_.apply(record);
        if (record.kind() == Kind::registered_model) source_.models_given_.emplace(record.model.name());
      }
      if (!page->empty()) co_return page;
    }
    co_return std::nullopt;
  }

 private:
  MappedSource& source_;
  MappedKnown known_;
  std::unique_ptr<Pages<RegisteredModelRecord>> pages_;
};

class MappedSource::ObjectPages final : public Pages<ObjectRecord> {
 public:
  ObjectPages(MappedSource& source, Kind kind, Known& known)
      : source_(source), known_(known, source.one_id_, source.mapping_.fingerprint_suffix()),
        pages_(source.inner_.objects(kind, known_)) {}

  async::Task<std::optional<std::vector<ObjectRecord>>> next() override {
    auto page = co_await pages_->next();
    if (page) {
      for (auto& record : *page) source_.mapping_.apply(record, source_.one_id_);
    }
    co_return page;
  }

 private:
  MappedSource& source_;
  MappedKnown known_;
  std::unique_ptr<Pages<ObjectRecord>> pages_;
};

template <class Record>
std::unique_ptr<Pages<Record>> MappedSource::members(Kind kind, std::string experiment_id, Known& known,
                                                     std::unique_ptr<Pages<Record>> (Source::*make)(std::string,
                                                                                                    Known&)) {
  std::vector<std::string> experiments;
  if (mapping_.takes(kind) && one_id_.empty()) experiments.push_back(std::move(experiment_id));
  if (mapping_.takes(kind) && !one_id_.empty()) {
    for (auto const& record : all_) experiments.emplace_back(record.experiment.id());
  }
  return std::make_unique<MemberPages<Record>>(*this, std::move(experiments), known, make);
}

std::unique_ptr<Pages<ExperimentRecord>> MappedSource::experiments() {
  return std::make_unique<ExperimentPages>(*this);
}

std::unique_ptr<Pages<RunRecord>> MappedSource::runs(std::string experiment_id, Known& known) {
  return members(Kind::run, std::move(experiment_id), known, &Source::runs);
}

std::unique_ptr<Pages<LoggedModelRecord>> MappedSource::logged_models(std::string experiment_id, Known& known) {
  return members(Kind::logged_model, std::move(experiment_id), known, &Source::logged_models);
}

std::unique_ptr<Pages<TraceRecord>> MappedSource::traces(std::string experiment_id, Known& known) {
  return members(Kind::trace, std::move(experiment_id), known, &Source::traces);
}

std::unique_ptr<Pages<RegisteredModelRecord>> MappedSource::registered_models(Known& known) {
  if (!mapping_.takes(Kind::registered_model) && !mapping_.takes(Kind::prompt))
    return std::make_unique<NoPages<RegisteredModelRecord>>();
  return std::make_unique<ModelPages>(*this, known);
}

std::unique_ptr<Pages<ObjectRecord>> MappedSource::objects(Kind kind, Known& known) {
  if (!mapping_.takes(kind)) return std::make_unique<NoPages<ObjectRecord>>();
  return std::make_unique<ObjectPages>(*this, kind, known);
}

async::Task<std::unique_ptr<async::ByteReader>> MappedSource::open_file(FileOwner owner, FileEntry file) {
  return inner_.open_file(std::move(owner), std::move(file));
}

}  // namespace mlferry::engine
