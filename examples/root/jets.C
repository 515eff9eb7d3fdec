// The mass of jets from their constituents, in two ROOT files, by the same RDataFrame.
//
//   root -l -b -q 'examples/root/jets.C("top_test.root", "generated.root", "jets.png")'
//
// The columns are those of the simulated file; the generated one is read without a change.

#include <Math/Vector4D.h>
#include <ROOT/RDataFrame.hxx>
#include <ROOT/RVec.hxx>
#include <TCanvas.h>
#include <TH1D.h>
#include <TLegend.h>
#include <TROOT.h>
#include <TStyle.h>

#include <cmath>
#include <cstdio>

using Floats = ROOT::RVec<float>;

double mass_of(const Floats &pt, const Floats &eta, const Floats &phi, const Floats &energy) {
  ROOT::Math::PxPyPzEVector total;
  for (size_t i = 0; i < pt.size(); ++i)
    total += ROOT::Math::PxPyPzEVector(pt[i] * std::cos(phi[i]), pt[i] * std::sin(phi[i]), pt[i] * std::sinh(eta[i]), energy[i]);
  return total.M();
}

int jets(const char *simulated, const char *generated, const char *output = "jets.png", const char *tree = "jets", double low = 0,
         double high = 300) {
  gROOT->SetBatch(true);
  gStyle->SetOptStat(0);
  const char *files[] = {simulated, generated};
  TH1D drawn[2];
  for (int i = 0; i < 2; ++i) {
    ROOT::RDataFrame frame(tree, files[i]);
    auto with_mass = frame.Define("mass", mass_of, {"part_pt", "part_eta", "part_phi", "part_energy"});
    auto apart = with_mass.Define("apart", [](double mass, float jet_mass, float jet_pt) { return std::abs(mass - jet_mass) / jet_pt; },
                                  {"mass", "jet_mass", "jet_pt"});
    auto histogram = apart.Histo1D({"mass", ";mass of the constituents [GeV];fraction per bin", 60, low, high}, "mass");
    auto largest = apart.Max("apart");
    auto mean = apart.Mean("mass");
    auto width = apart.StdDev("mass");
    drawn[i] = *histogram;
    drawn[i].SetDirectory(nullptr);
    std::printf("%s: mean %.2f, width %.2f GeV; |mass - jet_mass| / jet_pt at most %.1e\n", files[i], *mean, *width, *largest);
    if (drawn[i].GetEntries() > 0) drawn[i].Scale(1 / drawn[i].GetEntries());
  }
  drawn[0].SetLineColor(kBlack);
  drawn[1].SetLineColor(kRed + 1);
  TCanvas canvas("canvas", "", 800, 600);
  drawn[0].SetMaximum(1.3 * std::max(drawn[0].GetMaximum(), drawn[1].GetMaximum()));
  drawn[0].Draw("hist");
  drawn[1].Draw("hist same e");
  TLegend legend(0.6, 0.75, 0.88, 0.88);
  legend.SetBorderSize(0);
  legend.AddEntry(&drawn[0], "simulated", "l");
  legend.AddEntry(&drawn[1], "generated", "l");
  legend.Draw();
  canvas.SaveAs(output);
  return 0;
}
