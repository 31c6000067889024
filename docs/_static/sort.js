// A click on a heading sorts its table: by the number that cells start with ("0.92 to 1.1"), or by text.
const asNumber = (text) => parseFloat(text.trim().replace("−", "-").replace(/,(?=\d{3})/g, ""));
const isNumber = (text) => /^[-+−]?\d/.test(text.trim());
Tablesort.extend("number", isNumber, (a, b) => (asNumber(b) || 0) - (asNumber(a) || 0));
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.docutils")) {
    if (table.tBodies[0]?.rows.length > 3) new Tablesort(table);
  }
});
