"use strict";
const content = (id) => JSON.parse(document.getElementById(id).textContent);

for (const link of document.querySelectorAll("a[data-csv]")) {
  const blob = new Blob([content("csv-" + link.dataset.csv)], { type: "text/csv;charset=utf-8" });
  link.href = URL.createObjectURL(blob);
}

// On a touch screen a finger that crosses a figure scrolls the page; it does not zoom.
const touch = window.matchMedia("(pointer: coarse)").matches;
const options = { responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover" };
const drawn = [...document.querySelectorAll("[data-plot]")].map((place) => {
  const plot = content("plot-" + place.dataset.plot);
  if (touch) plot.layout.dragmode = false;
  return Plotly.newPlot(place, plot.data, plot.layout, options);
});
Promise.all(drawn).then(() => { document.documentElement.dataset.ready = "yes"; });
