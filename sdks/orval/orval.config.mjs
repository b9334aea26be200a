// The client reads its base URL when it is used; OUT is where the driver wants the code.
export default {
  ifmatch: {
    input: "../../openapi.yaml",
    output: {
      target: `${process.env.OUT}/generated/ifmatch.ts`,
      client: "fetch",
      headers: true,
      urlEncodeParameters: true,
      baseUrl: { runtime: "process.env.IFMATCH_URL" },
    },
  },
};
