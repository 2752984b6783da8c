package group

// Code is an error code of the Kafka protocol, the part of them that groups answer with.
type Code int16

// The codes, by Kafka's names.
const (
	None                      Code = 0
	UnknownServerError        Code = -1
	UnknownTopicOrPartition   Code = 3
	OffsetMetadataTooLarge    Code = 12
	IllegalGeneration         Code = 22
	InconsistentGroupProtocol Code = 23
	InvalidGroupID            Code = 24
	UnknownMemberID           Code = 25
	InvalidSessionTimeout     Code = 26
	RebalanceInProgress       Code = 27
	InvalidRequest            Code = 42
	NonEmptyGroup             Code = 68
	GroupIDNotFound           Code = 69
	MemberIDRequired          Code = 79
	GroupMaxSizeReached       Code = 81
	FencedInstanceID          Code = 82
	GroupSubscribedToTopic    Code = 86
)
