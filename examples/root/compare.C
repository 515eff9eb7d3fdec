// The same quantity from two ROOT files in one picture, both normalised, with their ratio below.
//
//   root -l -b -q 'examples/root/compare.C("simulated.root", "generated.root", "events", "m_jjj", "m_jjj.png")'
//   python -c "import ROOT; ROOT.gROOT.ProcessLine('.x examples/root/compare.C(\"a.root\", \"b.root\", \"events\", \"m_jj\", \"m_jj.png\")')"
//
// The expression is anything that TTree::Draw takes: m_jj, Sum$(voxel_energy)/incident_energy, Muon_pt[0], a cut aside.
// Bins and range come from the first file, unless low < high is given.

#include <TCanvas.h>
#include <TError.h>
#include <TFile.h>
#include <TH1D.h>
#include <TLegend.h>
#include <TLine.h>
#include <TPad.h>
#include <TROOT.h>
#include <TString.h>
#include <TStyle.h>
#include <TTree.h>

#include <algorithm>
#include <vector>

// all values of the expression in one file, and their weights; empty, with the reason on the terminal, if there are none
void values_of(const char *path, const char *tree_name, const char *expression, const char *selection,
               std::vector<double> &values, std::vector<double> &weights) {
  TFile file(path);
  if (file.IsZombie()) return;  // ROOT has said why
  auto *found = file.Get<TTree>(tree_name);
  if (found == nullptr) {
    Error("compare", "no tree '%s' in %s", tree_name, path);
    return;
  }
  TTree &tree = *found;
  const Long64_t selected = tree.Draw(expression, selection, "goff");
  if (selected < 0) {
    Error("compare", "'%s' cannot be drawn from the tree '%s' of %s", expression, tree_name, path);
    return;
  }
  if (selected == 0) Error("compare", "no value of '%s' in %s", expression, path);
  if (selected > tree.GetEstimate()) {  // several values per event: once more, with room for all of them
    tree.SetEstimate(selected);
    tree.Draw(expression, selection, "goff");
  }
  values.assign(tree.GetV1(), tree.GetV1() + selected);
  weights.assign(tree.GetW(), tree.GetW() + selected);
}

// the range that holds all but half a percent of the values at each end, a little widened
void central_range(std::vector<double> values, double &low, double &high) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  low = values[static_cast<size_t>(0.005 * last)];
  high = values[static_cast<size_t>(0.995 * last)];
  const double margin = high > low ? 0.05 * (high - low) : 0.5;
  low -= margin;
  high += margin;
}

void fill(TH1D &result, const std::vector<double> &values, const std::vector<double> &weights) {
  result.SetDirectory(nullptr);
  result.Sumw2();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    result.Fill(values[i], weights[i]);
    sum += weights[i];
  }
  if (sum != 0) result.Scale(1 / sum);  // what lies outside of the range counts as well
}

int compare(const char *first, const char *second, const char *tree = "events", const char *expression = "",
            const char *output = "compare.png", const char *selection = "", int bins = 50, double low = 0, double high = 0) {
  gROOT->SetBatch(true);
  gStyle->SetOptStat(0);

  std::vector<double> simulated, simulated_weights, sampled, sampled_weights;
  values_of(first, tree, expression, selection, simulated, simulated_weights);
  values_of(second, tree, expression, selection, sampled, sampled_weights);
  if (simulated.empty() || sampled.empty()) return 1;
  if (low >= high) central_range(simulated, low, high);

  TH1D reference("reference", "", bins, low, high), generated("generated", "", bins, low, high);
  fill(reference, simulated, simulated_weights);
  fill(generated, sampled, sampled_weights);
  reference.SetLineColor(kBlack);
  reference.SetFillColorAlpha(kGray, 0.5);
  generated.SetLineColor(kRed + 1);
  generated.SetMarkerColor(kRed + 1);
  generated.SetMarkerStyle(20);
  generated.SetMarkerSize(0.7);

  TCanvas canvas("canvas", "", 800, 800);
  TPad upper("upper", "", 0, 0.3, 1, 1), lower("lower", "", 0, 0, 1, 0.3);
  upper.SetBottomMargin(0.02);
  upper.SetLeftMargin(0.13);
  lower.SetTopMargin(0.04);
  lower.SetBottomMargin(0.32);
  lower.SetLeftMargin(0.13);
  upper.Draw();
  lower.Draw();

  upper.cd();
  reference.SetMaximum(1.35 * std::max(reference.GetMaximum(), generated.GetMaximum()));
  reference.SetMinimum(0);
  reference.GetYaxis()->SetTitle("fraction per bin");
  reference.GetYaxis()->SetTitleOffset(1.2);
  reference.GetXaxis()->SetLabelSize(0);
  reference.Draw("hist");
  generated.Draw("same e");
  TLegend legend(0.5, 0.75, 0.88, 0.88);
  legend.SetBorderSize(0);
  legend.AddEntry(&reference, Form("simulated, %zu", simulated.size()), "lf");
  legend.AddEntry(&generated, Form("generated, %zu", sampled.size()), "lep");
  legend.Draw();

  lower.cd();
  TH1D ratio(generated);
  ratio.SetName("ratio");
  ratio.SetDirectory(nullptr);
  ratio.Divide(&reference);  // errors of both samples
  ratio.SetMinimum(0.5);
  ratio.SetMaximum(1.5);
  ratio.SetTitle("");
  ratio.GetXaxis()->SetTitle(expression);
  ratio.GetYaxis()->SetTitle("ratio");
  ratio.GetYaxis()->SetNdivisions(505);
  for (auto *axis : {ratio.GetXaxis(), ratio.GetYaxis()}) {
    axis->SetLabelSize(0.09);
    axis->SetTitleSize(0.11);
  }
  ratio.GetYaxis()->SetTitleOffset(0.5);
  ratio.Draw("e");
  TLine unity(low, 1, high, 1);
  unity.SetLineStyle(2);
  unity.Draw();

  canvas.SaveAs(output);
  return 0;
}
