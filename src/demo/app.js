// Fills in the prices on the home page, as many an old app does: by fetch, after the page is there.
const table = document.querySelector("#quotes");
const state = document.querySelector("#quotes-status");

function row(quote) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = quote.name;
  const price = document.createElement("td");
  price.textContent = quote.price.toFixed(2);
  line.append(name, price);
  return line;
}

async function refresh() {
  state.textContent = "Asking for prices…";
  try {
    const answer = await fetch("/api/quotes", { headers: { Accept: "application/json" } });
    if (!answer.ok) {
      state.textContent = `The prices are not available (${answer.status}).`;
      return;
    }
    table.tBodies[0].replaceChildren(...(await answer.json()).map(row));
    table.hidden = false;
    state.textContent = `As of ${new Date().toLocaleTimeString()}`;
  } catch {
    state.textContent = "The prices cannot be reached.";
  }
}

document.querySelector("#refresh").addEventListener("click", refresh);
refresh();
