package main

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	experimental "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/stats/opentelemetry"
)

// subchannelMetrics are the metrics of gRFC A94, which are disabled by default.
var subchannelMetrics = []string{
	"grpc.subchannel.disconnections",
	"grpc.subchannel.connection_attempts_succeeded",
	"grpc.subchannel.connection_attempts_failed",
	"grpc.subchannel.open_connections",
}

// telemetry keeps what the plugin records in memory.
type telemetry struct {
	options opentelemetry.Options
	reader  *metric.ManualReader
	spans   *tracetest.InMemoryExporter
}

func newTelemetry(propagator string) (*telemetry, error) {
	propagators := map[string]propagation.TextMapPropagator{
		"traceparent":    propagation.TraceContext{},
		"grpc-trace-bin": opentelemetry.GRPCTraceBinPropagator{},
	}
	chosen, ok := propagators[propagator]
	if !ok {
		return nil, fmt.Errorf("there is no propagation %q", propagator)
	}
	reader := metric.NewManualReader()
	spans := tracetest.NewInMemoryExporter()
	return &telemetry{
		options: opentelemetry.Options{
			MetricsOptions: opentelemetry.MetricsOptions{
				MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
				Metrics:       opentelemetry.DefaultMetrics().Add(subchannelMetrics...),
			},
			TraceOptions: experimental.TraceOptions{
				TracerProvider:    trace.NewTracerProvider(trace.WithSyncer(spans)),
				TextMapPropagator: chosen,
			},
		},
		reader: reader,
		spans:  spans,
	}, nil
}

// report has the shape of the data that OpenTelemetry's JavaScript SDK collects, as far as tests compare
// it.
type report struct {
	Metrics []instrument `json:"metrics"`
	Spans   []span       `json:"spans"`
	// Hanging is the number of calls that are never answered.
	Hanging int64 `json:"hanging"`
}

type attributes map[string]any

type instrument struct {
	Descriptor descriptor  `json:"descriptor"`
	DataPoints []dataPoint `json:"dataPoints"`
}

type descriptor struct {
	Name        string `json:"name"`
	Unit        string `json:"unit"`
	Description string `json:"description"`
}

// dataPoint is one series; the value is an int64 or a histogram.
type dataPoint struct {
	Attributes attributes `json:"attributes"`
	Value      any        `json:"value"`
}

type histogram struct {
	Count   uint64  `json:"count"`
	Sum     float64 `json:"sum"`
	Buckets buckets `json:"buckets"`
}

type buckets struct {
	Boundaries []float64 `json:"boundaries"`
}

type span struct {
	Name       string     `json:"name"`
	Kind       string     `json:"kind"`
	TraceID    string     `json:"traceId"`
	SpanID     string     `json:"spanId"`
	ParentID   string     `json:"parentId,omitempty"`
	Attributes attributes `json:"attributes"`
	Events     []event    `json:"events"`
	Status     spanStatus `json:"status"`
}

type event struct {
	Name       string     `json:"name"`
	Attributes attributes `json:"attributes"`
}

type spanStatus struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

func (t *telemetry) report() (*report, error) {
	var data metricdata.ResourceMetrics
	if err := t.reader.Collect(context.Background(), &data); err != nil {
		return nil, err
	}
	told := &report{Metrics: []instrument{}, Spans: []span{}, Hanging: hanging.Load()}
	for _, scope := range data.ScopeMetrics {
		for _, metrics := range scope.Metrics {
			told.Metrics = append(told.Metrics, toInstrument(metrics))
		}
	}
	for _, stub := range t.spans.GetSpans() {
		told.Spans = append(told.Spans, toSpan(stub))
	}
	return told, nil
}

func toInstrument(metrics metricdata.Metrics) instrument {
	told := instrument{Descriptor: descriptor{metrics.Name, metrics.Unit, metrics.Description}}
	switch data := metrics.Data.(type) {
	case metricdata.Sum[int64]:
		for _, series := range data.DataPoints {
			point := dataPoint{toAttributes(series.Attributes.ToSlice()), series.Value}
			told.DataPoints = append(told.DataPoints, point)
		}
	case metricdata.Histogram[int64]:
		told.DataPoints = toDataPoints(data)
	case metricdata.Histogram[float64]:
		told.DataPoints = toDataPoints(data)
	}
	return told
}

func toDataPoints[N int64 | float64](data metricdata.Histogram[N]) (points []dataPoint) {
	for _, series := range data.DataPoints {
		value := histogram{series.Count, float64(series.Sum), buckets{series.Bounds}}
		points = append(points, dataPoint{toAttributes(series.Attributes.ToSlice()), value})
	}
	return points
}

func toSpan(stub tracetest.SpanStub) span {
	told := span{
		Name:       stub.Name,
		Kind:       strings.ToUpper(stub.SpanKind.String()),
		TraceID:    stub.SpanContext.TraceID().String(),
		SpanID:     stub.SpanContext.SpanID().String(),
		Attributes: toAttributes(stub.Attributes),
		Events:     []event{},
		Status:     spanStatus{strings.ToUpper(stub.Status.Code.String()), stub.Status.Description},
	}
	if stub.Parent.IsValid() {
		told.ParentID = stub.Parent.SpanID().String()
	}
	for _, happened := range stub.Events {
		told.Events = append(told.Events, event{happened.Name, toAttributes(happened.Attributes)})
	}
	return told
}

func toAttributes(pairs []attribute.KeyValue) attributes {
	told := attributes{}
	for _, pair := range pairs {
		told[string(pair.Key)] = pair.Value.AsInterface()
	}
	return told
}
