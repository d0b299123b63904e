"use strict";
const content = (id) => JSON.parse(document.getElementById(id).textContent);

for (const link of document.querySelectorAll("a[data-csv]")) {
  const blob = new Blob([content("csv-" + link.dataset.csv)], { type: "text/csv;charset=utf-8" });
  link.href = URL.createObjectURL(blob);
}

// On a touch screen a finger that crosses a figure scrolls the page; it does not zoom.
const touch = window.matchMedia("(pointer: coarse)").matches;
// No cloud: the report must not offer to send data anywhere. Two buttons, so that they cover nothing.
const options = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  displayModeBar: touch ? false : "hover",
};
const buttons = (plot) => [["toImage", plot.layout.scene ? "resetCameraDefault3d" : "resetScale2d"]];
const drawn = [...document.querySelectorAll("[data-plot]")].map((place) => {
  const plot = content("plot-" + place.dataset.plot);
  if (touch) plot.layout.dragmode = false;
  return Plotly.newPlot(place, plot.data, plot.layout, { ...options, modeBarButtons: buttons(plot) });
});
Promise.all(drawn).then(() => { document.documentElement.dataset.ready = "yes"; });
