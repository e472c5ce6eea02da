// Sends the same spans with the OpenTelemetry JS SDK over one transport; tests/js_sdk.py reads them back field by field.
// usage: node send.js grpc|proto|json PORT. Prints the trace ids as JSON.
'use strict';
const { context, trace, SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { resourceFromAttributes } = require('@opentelemetry/resources');

const [transport, port] = process.argv.slice(2);
const exporters = {
  grpc: () => new (require('@opentelemetry/exporter-trace-otlp-grpc').OTLPTraceExporter)({ url: `http://127.0.0.1:${port}` }),
  proto: () => new (require('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter)({ url: `http://127.0.0.1:${port}/v1/traces`, compression: 'gzip' }),
  json: () => new (require('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter)({ url: `http://127.0.0.1:${port}/v1/traces` }),
};

const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ 'service.name': `js-${transport}`, 'service.version': '1.2.3', 'process.pid': 4711 }),
  spanProcessors: [new BatchSpanProcessor(exporters[transport]())],
});
const tracer = provider.getTracer('clew-test', '0.9');

const root = tracer.startSpan('GET /orders/{id}', { kind: SpanKind.SERVER, startTime: [1700000000, 123456789] });
root.setAttributes({ text: 'größer', whole: 42, negative: -7, real: 2.5, yes: true, no: false, texts: ['a', 'b'], wholes: [1, 2, 3], empty: '' });
root.addEvent('cache miss', { key: 'k1', tries: 3 }, [1700000000, 223456789]);
const child = tracer.startSpan('SELECT orders', { kind: SpanKind.CLIENT, startTime: [1700000000, 133456789] }, trace.setSpan(context.active(), root));
child.setStatus({ code: SpanStatusCode.ERROR, message: 'deadlock' });
child.end([1700000000, 143456789]);
const linked = tracer.startSpan('consume', {
  kind: SpanKind.CONSUMER, startTime: [1700000000, 153456789], links: [{ context: child.spanContext(), attributes: { why: 'caused by' } }],
}, trace.setSpan(context.active(), root));
linked.setStatus({ code: SpanStatusCode.OK });
linked.end([1700000000, 163456789]);
root.end([1700000001, 123456789]);

provider.shutdown().then(() => {
  console.log(JSON.stringify({
    trace: root.spanContext().traceId, root: root.spanContext().spanId, child: child.spanContext().spanId, linked: linked.spanContext().spanId,
  }));
}).catch((error) => {
  console.error(error);
  process.exit(1);
});
