"use strict";

window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: document.getElementById("docs").dataset.document,
    dom_id: "#docs",
    deepLinking: true,
    displayOperationId: true,
    validatorUrl: null,
  });
});
