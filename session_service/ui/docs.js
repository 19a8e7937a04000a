// Shows the OpenAPI document beside this page; no validator badge, which would ask another host.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
