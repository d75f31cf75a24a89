#include "support/http_certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>

namespace mlferry::test {
namespace {

template <auto F>
struct Free {
  template <class T>
  void operator()(T* object) const {
    F(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

void need(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("cannot make a certificate: ") + what);
}

File open_file(const std::string& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode));
  need(file != nullptr, path.c_str());
  return file;
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  need(extension != nullptr, "extension");
  need(X509_add_ext(certificate, extension.get(), -1) == 1, "add extension");
}

}  // namespace

CertificateFolder::CertificateFolder() {
  auto pattern = (std::filesystem::temp_directory_path() / "mlferry-certificates-XXXXXX").string();
  need(::mkdtemp(pattern.data()) != nullptr, "folder");
  path_ = pattern;
}

CertificateFolder::~CertificateFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

CertificateFiles CertificateFolder::authority(const std::string& name) {
  return make(nullptr, name, "");
}

CertificateFiles CertificateFolder::issue(const CertificateFiles& issuer, const std::string& name,
                                          const std::string& subject_names) {
  return make(&issuer, name, subject_names);
}

std::string CertificateFolder::joined(const CertificateFiles& files) {
  auto const path = (path_ / ("joined-" + std::to_string(serial_++) + ".pem")).string();
  std::ofstream out(path);
  out << std::ifstream(files.certificate).rdbuf() << std::ifstream(files.key).rdbuf();
  return path;
}

CertificateFiles CertificateFolder::make(const CertificateFiles* issuer, const std::string& name,
                                         const std::string& subject_names) {
  Key key(EVP_EC_gen("P-256"));
  need(key != nullptr, "key");
  Certificate certificate(X509_new());
  need(certificate != nullptr, "certificate");
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial_++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24L * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  Certificate issuer_certificate;
  Key issuer_key;
  if (issuer != nullptr) {
    issuer_certificate.reset(
        PEM_read_X509(open_file(issuer->certificate, "r").get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_PrivateKey(open_file(issuer->key, "r").get(), nullptr, nullptr, nullptr));
    need(issuer_certificate && issuer_key, "issuer");
  }
  X509* const signer = issuer != nullptr ? issuer_certificate.get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  add_extension(certificate.get(), signer, NID_basic_constraints,
                issuer != nullptr ? "CA:FALSE" : "critical,CA:TRUE");
  if (!subject_names.empty()) add_extension(certificate.get(), signer, NID_subject_alt_name, subject_names);
  need(X509_sign(certificate.get(), issuer != nullptr ? issuer_key.get() : key.get(), EVP_sha256()) != 0,
       "signature");

  auto const stem = (path_ / (name + "-" + std::to_string(serial_))).string();
  CertificateFiles files{stem + ".crt", stem + ".key"};
  PEM_write_X509(open_file(files.certificate, "w").get(), certificate.get());
  PEM_write_PrivateKey(open_file(files.key, "w").get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return files;
}

}  // namespace mlferry::test
