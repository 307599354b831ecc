// Stands in for Envoy where filters run in Node (test tier 1): every host call answers 0, "ok".
// What a filter decides is tested with the fake host; here it is only shown to behave the same when it runs as wasm32.
module.exports = new Proxy({}, { get: () => () => 0 });
